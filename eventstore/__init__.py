"""The durable log, in rooms: journal, manifests, tables, sealed, sealing, reading, runs, sql, integrity.

Beside them lies what they share: where things lie and what differs between systems (`layout`, `platform`,
`files`, `lock`, `build_area`, `control`), records as bytes (`codec`, `checks`), and the port with a log in
memory (`base`, `memory`). docs/architecture.md says which room may import which.
"""
