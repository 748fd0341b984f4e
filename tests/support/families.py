"""The metrics of the design, and their labels."""

FAMILIES = {
    "gateway_requests_total": {"route", "code", "cache"},
    "gateway_request_duration_seconds": {"route", "cache"},
    "gateway_upstream_requests_total": {"upstream", "code"},
    "gateway_upstream_duration_seconds": {"upstream"},
    "gateway_upstream_retries_total": {"upstream"},
    "gateway_collapsed_requests_total": {"route"},
    "gateway_loop_delay_seconds": set[str](),
    "gateway_fetches_in_flight": set[str](),
    "gateway_not_stored_total": {"route", "reason"},
    "gateway_stored_responses": set[str](),
    "gateway_stored_bytes": set[str](),
    "gateway_evictions_total": set[str](),
    "gateway_refreshes_total": {"route", "kind", "outcome"},
    "gateway_tokens_charged_total": {"route", "reason"},
    "gateway_tokens_released_total": {"route"},
    "gateway_tokens_saved_total": {"route"},
    "gateway_upstream_calls_saved_total": {"route"},
    "gateway_refusals_total": {"route", "reason"},
    "gateway_accounts_above": {"percent"},
    "gateway_ledger_drift_tokens": set[str](),
    "gateway_ledger_bytes": set[str](),
    "gateway_log_lines_dropped_total": set[str](),
    "gateway_store_up": set[str](),
    "gateway_upstream_up": {"upstream"},
    "gateway_config_last_reload_successful": set[str](),
    "gateway_config_last_reload_success_timestamp_seconds": set[str](),
    "gateway_build_info": {"version", "python"},
}

ON_DISK = {
    "gateway_stored_disk_responses": set[str](),
    "gateway_stored_disk_bytes": set[str](),
    "gateway_disk_evictions_total": set[str](),
    "gateway_stored_disk_up": set[str](),
}
"""Those besides where stored responses are kept on disk."""

IN_REDIS = {
    "gateway_stored_shared_responses": set[str](),
    "gateway_stored_shared_bytes": set[str](),
    "gateway_shared_evictions_total": set[str](),
}
"""Those besides where they are kept in Redis."""
