"""Sources of signals outside the core: files, models and plug-ins, read and recorded as inputs."""
