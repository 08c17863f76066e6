"""Extractors: what turns prompts into hidden states, by one of several engines behind one interface."""

from difficulty.extractors.base import Extractor
from difficulty.extractors.transformers import TransformersExtractor
from difficulty.extractors.vllm import VllmExtractor

__all__ = ["Extractor", "TransformersExtractor", "VllmExtractor"]
