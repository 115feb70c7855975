"""Heads of every task on pictures made of real photographs, against scikit-learn's own estimators."""
