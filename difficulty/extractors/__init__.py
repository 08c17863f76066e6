"""Extraction of hidden states from prompts, by one of several engines."""

from testbudget.difficulty.extractors.base import Extractor
from testbudget.difficulty.extractors.transformers import TransformersExtractor
from testbudget.difficulty.extractors.vllm import VllmExtractor

__all__ = ["Extractor", "TransformersExtractor", "VllmExtractor"]
