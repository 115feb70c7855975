"""Folders as people have them: a tree of folders into splits, folds and classes, or into a refusal."""
