"""The command line: builds tasks from arguments, prints what came of them."""
