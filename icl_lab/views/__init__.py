"""The interactive figures of the chapters: pure functions of their parameters, one file a chapter."""
