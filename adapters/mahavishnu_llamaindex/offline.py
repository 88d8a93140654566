"""Models that need no network and no download: for trying things out, not for answering anybody."""

from __future__ import annotations

import math
import re
from typing import Any
from zlib import crc32

from llama_index.core.base.llms.types import CompletionResponse, CompletionResponseGen, LLMMetadata
from llama_index.core.embeddings import BaseEmbedding
from llama_index.core.llms import CustomLLM
from llama_index.core.llms.callbacks import llm_completion_callback

DIMENSIONS = 384

_WORD = re.compile(r"\w+")
_SAYS_NOTHING = re.compile(
    r"an?|and|are|as|at|be|by|can|do|does|for|from|how|i|in|is|it|its|of|on|or|that|the|this|to|was|what|when|where|"
    r"which|who|why|with|you"
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n{2,}")
_QUESTION = re.compile(r"Query:(?P<question>.*?)(?:\n\s*Answer:|\Z)", re.DOTALL)
_CONTEXT = re.compile(r"-{5,}\n(?P<context>.*)\n-{5,}", re.DOTALL)


def _words(text: str) -> list[str]:
    """The words of a text that say something, without the endings that English plurals and verbs have.

    >>> _words("How are routed tasks ended?")
    ['rout', 'task', 'end']
    """
    said = [word for word in _WORD.findall(text.lower()) if not _SAYS_NOTHING.fullmatch(word)]
    return [re.sub(r"(?<=\w{3})(ing|ed|es|s)$", "", word) for word in said]


def embed(text: str) -> list[float]:
    """Hashed bag of words, of length 1: texts that share words are near each other, and nothing else is known of them.

    >>> a, b, c = embed("the breaker opens"), embed("when a breaker opens"), embed("money")
    >>> sum(x * y for x, y in zip(a, b)) > sum(x * y for x, y in zip(a, c))
    True
    """
    vector = [0.0] * DIMENSIONS
    for word in _words(text):
        # Not hash(), which differs from process to process: an index outlives the process that built it.
        vector[crc32(word.encode()) % DIMENSIONS] += 1.0
    length = math.sqrt(sum(each * each for each in vector))
    return [each / length for each in vector] if length else vector


class OfflineEmbedding(BaseEmbedding):
    """An embedding model that counts words. It finds what shares words with the question, and understands nothing."""

    model_name: str = "offline-bag-of-words"

    @classmethod
    def class_name(cls) -> str:
        return "OfflineEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        return embed(query)

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return embed(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        return embed(text)


class OfflineLLM(CustomLLM):
    """Answers with the sentences of its context that share most words with the question. It writes nothing itself."""

    sentences: int = 2

    @classmethod
    def class_name(cls) -> str:
        return "OfflineLLM"

    @property
    def metadata(self) -> LLMMetadata:
        return LLMMetadata(model_name="offline-extractive", context_window=8192, num_output=512)

    @llm_completion_callback()
    def complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponse:
        del formatted
        return CompletionResponse(text=extract(prompt, self.sentences))

    @llm_completion_callback()
    def stream_complete(self, prompt: str, formatted: bool = False, **_: Any) -> CompletionResponseGen:
        del formatted
        return _word_by_word(extract(prompt, self.sentences))


def extract(prompt: str, sentences: int = 2) -> str:
    """The sentences of a prompt's context that fit its question best, in the order in which they stand there."""
    asked = _QUESTION.search(prompt)
    given = _CONTEXT.search(prompt)
    question = set(_words(asked["question"] if asked else prompt))
    context = given["context"] if given else prompt
    found = [each.strip() for each in _SENTENCE.split(context) if each.strip()]
    best = sorted(range(len(found)), key=lambda place: -_overlap(question, found[place]))[:sentences]
    return " ".join(found[place] for place in sorted(best))


def _overlap(question: set[str], sentence: str) -> float:
    words = set(_words(sentence))
    return len(question & words) / math.sqrt(len(words)) if words else 0.0


def _word_by_word(text: str) -> CompletionResponseGen:
    said = ""
    for word in re.findall(r"\S+\s*", text):
        said += word
        yield CompletionResponse(text=said, delta=word)


def embedding() -> OfflineEmbedding:
    """What `embed_model = "mahavishnu_llamaindex.offline:embedding"` names."""
    return OfflineEmbedding()


def llm() -> OfflineLLM:
    """What `llm = "mahavishnu_llamaindex.offline:llm"` names."""
    return OfflineLLM()
