"""Prices, money and quotas."""
