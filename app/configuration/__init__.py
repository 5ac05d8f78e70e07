"""What can be configured, and reading it: files, environment, problems by place, migration."""
