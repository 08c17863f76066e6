"""Fine-tuning of a test writer with LoRA, by transformers, PEFT and TRL, on one machine or on Ray Train."""
