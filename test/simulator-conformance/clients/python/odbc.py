"""Plays scenarios with an ODBC driver, whose library is the first argument, by way of pyodbc.

As conformance.py: one request a line on standard input, what it saw a line on standard output, in the shapes of scenario.ts.
"""

import datetime
import json
import re
import struct
import sys
import threading

import pyodbc

from conformance import text_of, value_of as plain_value_of

DRIVER = sys.argv[1]
ISOLATION = {
    "read committed": "READ COMMITTED",
    "repeatable read": "REPEATABLE READ",
    "serializable": "SERIALIZABLE",
    "snapshot": "SNAPSHOT",
}
SQL_SS_TIMESTAMPOFFSET = -155

# No connection is used twice: what a scenario left behind is another one's surprise.
pyodbc.pooling = False


def connect(target):
    encrypt = {"login": "no", "all": "yes", "strict": "strict"}[target["encryption"]]
    words = {
        "Driver": DRIVER,
        "Server": f"{target['host']},{target['port']}",
        "Database": target["database"],
        "UID": target["user"],
        "PWD": "{" + target["password"].replace("}", "}}") + "}",
        "Encrypt": encrypt,
        "TrustServerCertificate": "no" if encrypt == "strict" else "yes",
    }
    if encrypt == "strict":
        words["ServerCertificate"] = target["certificate"]
    connection = pyodbc.connect(";".join(f"{word}={value}" for word, value in words.items()), autocommit=True)
    connection.add_output_converter(SQL_SS_TIMESTAMPOFFSET, moment_of)
    return connection


def moment_of(raw):
    """SQL_SS_TIMESTAMPOFFSET_STRUCT: local time, nanoseconds, and the offset in hours and minutes."""
    if raw is None:
        return None
    year, month, day, hour, minute, second, nanoseconds, hours, minutes = struct.unpack("<6hI2h", raw)
    zone = datetime.timezone(datetime.timedelta(hours=hours, minutes=minutes))
    return datetime.datetime(year, month, day, hour, minute, second, nanoseconds // 1000, zone)


def told(error):
    """The first error: further ones, and what the driver was asked, stand behind it in the same text."""
    text = str(error.args[1]) if len(error.args) > 1 else str(error)
    match = re.match(r"\[\w+\] (?:\[[^\]]*\])+(.*?) \((\d+)\) \(SQL", text, re.DOTALL)
    if match and "[SQL Server]" in text and match.group(2) != "0":
        return {"number": int(match.group(2)), "message": match.group(1)}
    return {"number": None, "message": text}


def value_of(parameter):
    if parameter["text"] is None:
        return None
    value = plain_value_of(parameter)
    return bytearray(value) if isinstance(value, bytes) else value


def play(request):
    steps = []
    try:
        connection = connect(request["target"])
    except pyodbc.Error as error:
        return {"refused": told(error), "steps": steps}
    try:
        for step in request["scenario"]["steps"]:
            steps.append(play_step(connection, step))
        if not connection.autocommit:
            connection.rollback()
    finally:
        connection.close()
    return {"steps": steps}


def play_step(connection, step):
    seen = {"sets": [], "errors": [], "messages": [], "affected": None}
    try:
        if step["do"] == "batch":
            cursor = connection.cursor()
            parameters = step.get("parameters")
            if parameters is None:
                cursor.execute(step["sql"])
            else:
                cursor.execute(re.sub(r"@p\d+\b", "?", step["sql"]), [value_of(each) for each in parameters])
            read(cursor, seen)
        elif step["do"] == "cancel":
            cancel(connection, step["sql"], seen)
        elif step["do"] == "begin":
            if "isolation" in step:
                connection.execute("SET TRANSACTION ISOLATION LEVEL " + ISOLATION[step["isolation"]])
            connection.autocommit = False
        elif step["do"] == "commit":
            connection.commit()
            connection.autocommit = True
        elif step["do"] == "rollback":
            connection.rollback()
            connection.autocommit = True
        else:
            raise ValueError("unknown step " + step["do"])
    except (pyodbc.Error, ValueError) as error:
        seen["errors"].append(told(error))
    return seen


def read(cursor, seen):
    while True:
        tell(cursor, seen)
        if cursor.description:
            columns = [column[0] for column in cursor.description]
            rows = [[text_of(value) for value in row] for row in cursor.fetchall()]
            tell(cursor, seen)
            seen["sets"].append({"columns": columns, "rows": rows})
        elif cursor.rowcount >= 0:
            seen["affected"] = cursor.rowcount
        if not cursor.nextset():
            break


def tell(cursor, seen):
    """What the driver says of the statement that it is at: messages of the server have its name in brackets."""
    for _, text in cursor.messages or []:
        match = re.match(r"(?:\[[^\]]*\])*\[SQL Server\](.*)", text, re.DOTALL)
        if match and match.group(1) not in seen["messages"][-1:]:
            seen["messages"].append(match.group(1))


def cancel(connection, sql, seen):
    cursor = connection.cursor()
    count = 0
    timer = None
    try:
        # What is slow to begin waits for its cancellation here, what has rows for the next ones.
        timer = threading.Timer(0.1, cursor.cancel)
        timer.start()
        cursor.execute(sql)
        while cursor.fetchone() is not None:
            count += 1
        raise ValueError("it ran to its end")
    except pyodbc.Error as error:
        if error.args[0] not in ("HY008", "HY010"):
            raise
        seen["cancelled"] = {"rows": count}
    finally:
        timer.join()
        cursor.close()


def main():
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8")
    for line in sys.stdin:
        print(json.dumps(play(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
