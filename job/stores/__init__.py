"""Where bytes are kept: local folders and buckets behind one interface. Callers go through `job.storage`."""
