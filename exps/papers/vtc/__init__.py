"""Figures of VTC, "Fairness in Serving Large Language Models" (OSDI 2024)."""
