"""Figures of finished runs: reports, comparisons at many caps, and tuned choices with held-out scores."""
