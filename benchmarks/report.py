"""The result as a table for people."""

COLUMNS = (
    ("req/s", "per_second"),
    ("res/s", "resources_per_second"),
    ("p50 ms", "p50_ms"),
    ("p95 ms", "p95_ms"),
    ("p99 ms", "p99_ms"),
    ("CPU ms", "server_cpu_ms_each"),
    ("client ms", "client_cpu_ms_each"),
    ("peak MB", "peak_pss_mb"),
    ("errors", "errors"),
)


def table(result):
    """Lines: one row per piece of work and server, then ratios, waits and memory."""
    lines = []
    servers = list(result["summary"])
    width = max(len(name) for said in result["summary"].values() for name in said)
    lines.append(f"{'':{width}}  {'server':>10}" + "".join(f"{title:>10}" for title, _ in COLUMNS) + "     ratio")
    for name in result["summary"][servers[0]]:
        for server in servers:
            said = result["summary"][server].get(name, {})
            cells = "".join(f"{'' if said.get(key) is None else said[key]:>10}" for _, key in COLUMNS)
            ratio = result.get("ratios", {}).get(name) if server == servers[0] else None
            lines.append(f"{name:{width}}  {server:>10}{cells}{'' if ratio is None else f'{ratio:9}x'}")
    for server in servers:
        wait = result["summary"][server].get("load", {}).get("searchable_after_s")
        if wait is not None:
            lines.append(f"{server}: everything loaded found by search {wait} s after the last answer (slowest round)")
        missing = [
            r["not_found_by_search"]
            for r in result["servers"][server]["rounds"].get("load", ())
            if "not_found_by_search" in r
        ]
        if missing:
            lines.append(f"{server}: NOT found by search: {missing}")
        memory = result["servers"][server].get("memory")
        if memory:
            lines.append(f"{server}: {memory['pss_mb']} MB PSS in {len(memory['processes'])} processes")
            lines += [f"    {p['pss_mb']:8} MB  {p['pid']:>7}  {p['name']}" for p in memory["processes"]]
    for server in servers:
        for name, rounds in result["servers"][server]["rounds"].items():
            examples = [e for r in rounds for e in r["total"].get("error_examples", ())][:2]
            lines += [f"{server}: error in {name}: {example}" for example in examples]
    return lines
