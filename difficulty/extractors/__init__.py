"""Extractors: what turns prompts into hidden states, by one of several engines behind one interface."""

from testbudget.difficulty.extractors.base import Extractor
from testbudget.difficulty.extractors.transformers import TransformersExtractor
from testbudget.difficulty.extractors.vllm import VllmExtractor

__all__ = ["Extractor", "TransformersExtractor", "VllmExtractor"]
