"""Models as targets: any endpoint that speaks OpenAI's chat completions."""

from mahavishnu_openai.adapter import OpenAIAdapter

__all__ = ["OpenAIAdapter"]
