"""The language lab: small worlds of text, tiny language models, prompts and the scores that read them.

Importing this package is light. ``transformers`` (the extra ``text``) is imported by the first call that needs a
model.
"""
