"""The durable register of refreshes: jobs, the work on their subjects, and the responses that are fetched again."""
