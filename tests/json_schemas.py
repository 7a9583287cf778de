"""Hold JSON Lines against the schemas: json_schemas.py SCHEMAS LINES"""
import json
import sys

KINDS = {
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "text": lambda v: isinstance(v, str),
    "true or false": lambda v: isinstance(v, bool),
    "list": lambda v: isinstance(v, list),
    "object": lambda v: isinstance(v, dict),
}


def kinds_of(text):
    """The kinds named in "integer or list"; "true or false" holds the word itself."""
    found = []
    if "true or false" in text:
        found.append("true or false")
        text = text.replace("true or false", "")
    return found + [w for w in text.replace(" or ", " ").split() if w in KINDS]


def fault(schema, name, value):
    """What is wrong with a member, None when nothing is."""
    member = schema.get(name) or schema.get("*")
    if member is None:
        return f"{name} is not documented"
    if value is None:
        return None if member["null"] == "yes" else f"{name} is null"
    if not any(KINDS[k](value) for k in kinds_of(member["type"])):
        return f"{name} is {json.dumps(value)[:60]}, not {member['type']}"
    return None


def main():
    schemas = {}
    for line in open(sys.argv[1]):
        row = json.loads(line)
        schemas.setdefault(row["of"], {})[row["member"]] = row
    faults, seen, lines = set(), set(), 0
    for line in open(sys.argv[2]):
        if not line.startswith("{"):
            continue
        lines += 1
        row = json.loads(line)
        if "schema" not in row:
            continue
        name = row.pop("schema")
        seen.add(name)
        if name not in schemas:
            faults.add(f"{name} is not in the table")
            continue
        for key, value in row.items():
            wrong = fault(schemas[name], key, value)
            if wrong:
                faults.add(f"{name}: {wrong}")
        for key, member in schemas[name].items():
            if key != "*" and key not in row and member["absent"] == "no":
                faults.add(f"{name}: {key} is missing")
    for wrong in sorted(faults):
        print("bad:", wrong)
    print("unseen:", " ".join(sorted(set(schemas) - seen)))
    print("seen", len(seen & set(schemas)))
    print(f"{len(faults)} differ, {lines} lines")


main()
