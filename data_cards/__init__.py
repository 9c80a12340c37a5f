"""Card templates (`corpus.md`, filled by `pipeline.card`) and the cards of the example corpora."""
