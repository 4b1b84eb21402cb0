"""Tench: batch image inference for Kubernetes. One YAML file in, every image out exactly once."""
