"""Settings of a link that does not keep a test waiting."""

QUICK = {
    "reconnect_interval_s": 0.02,
    "id_in_use_wait_s": 0.02,
    "reconnect_cap_s": 0.2,
    "step_deadline_s": 30.0,
    "alarm_after_s": 30.0,
    "start_deadline_s": 20.0,
}
"""The pauses before connecting again are short, the limits long."""
