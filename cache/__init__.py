"""Features on disk: keys, immutable shards, sealed files and the manifests they belong to."""

import os

# Read by HDF5 when it is loaded: a file must never make it load a filter plugin. Here, because this runs before
# any module of the package imports h5py.
os.environ["HDF5_PLUGIN_PRELOAD"] = "::"
