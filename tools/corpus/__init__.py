"""The parts of tools/mini_corpus.py, one for each kind of text."""
