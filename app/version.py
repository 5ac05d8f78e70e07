"""The version of this program, as recorded in every session and run."""

VERSION = "0.1.0"
