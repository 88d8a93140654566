"""The promises that adapters, policies and stores are held to, shipped so that a stranger's can prove itself."""
