"""Features on disk: keys, immutable shards, sealed files and the manifests they belong to."""
