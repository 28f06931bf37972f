"""CLIP: pictures and sentences in one space (Radford et al., arXiv 2103.00020)."""
