"""Plays scenarios with python-tds: one request a line on standard input, what it saw a line on standard output.

The shapes are those of scenario.ts.
"""

import datetime
import decimal
import json
import re
import sys
import uuid

import pytds

ISOLATION = {
    "read committed": 2,
    "repeatable read": 3,
    "serializable": 4,
    "snapshot": 5,
}


def connect(target):
    options = {}
    if target["encryption"] != "none":
        options["cafile"] = target["certificate"]
        options["validate_host"] = False
        options["enc_login_only"] = target["encryption"] == "login"
    return pytds.connect(
        dsn=target["host"],
        port=target["port"],
        user=target["user"],
        password=target["password"],
        database=target["database"],
        login_timeout=20,
        timeout=60,
        autocommit=True,
        use_tz=None,
        **options,
    )


def told(error):
    failure = {"number": None, "message": str(error)}
    if getattr(error, "number", None) or getattr(error, "msg_no", None):
        failure["number"] = getattr(error, "number", None) or error.msg_no
        failure["message"] = getattr(error, "text", None) or str(error)
        failure["state"] = getattr(error, "state", None)
        failure["severity"] = getattr(error, "severity", None)
        failure["line"] = getattr(error, "line", None)
    return failure


def text_of(value):
    """Fractions come without their trailing zeros: a column's scale is not told, and the driver drops those of decimals."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (bytes, bytearray)):
        return "0x" + bytes(value).hex().upper()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, uuid.UUID):
        return str(value).upper()
    if isinstance(value, (datetime.datetime, datetime.time)):
        text = value.isoformat()
        return re.sub(r"(\.\d*?)0+(?=$|[+-])", r"\1", text)
    return str(value)


def column_of(column):
    base = re.match(r"\w+", column["type"]).group()
    numbers = [int(digits) for digits in re.findall(r"\d+", column["type"][len(base) :])]
    kind = {
        "int": pytds.tds_types.IntType,
        "bit": pytds.tds_types.BitType,
        "decimal": pytds.tds_types.DecimalType,
        "datetime": pytds.tds_types.DateTimeType,
        "nvarchar": pytds.tds_types.NVarCharType,
    }[base]
    return pytds.Column(name=column["name"], type=kind(*numbers), flags=pytds.tds_base.Column.fNullable)


def values_of(table):
    return [
        [value_of({"type": column["type"], "text": text}) for column, text in zip(table["columns"], row)]
        for row in table["rows"]
    ]


def value_of(parameter):
    if "table" in parameter:
        table = parameter["table"]
        columns = [column_of(column) for column in table["columns"]]
        return pytds.TableValuedParam(type_name=table["name"], columns=columns, rows=values_of(table))
    text = parameter["text"]
    base = re.match(r"\w+", parameter["type"]).group()
    if text is None:
        if base in ("binary", "varbinary", "image"):
            return pytds.tds_base.Column(type=pytds.tds_types.VarBinaryType(8), value=None)
        return None
    if base == "bit":
        return text == "1"
    if base in ("tinyint", "smallint", "int", "bigint"):
        return int(text)
    if base in ("decimal", "numeric", "money", "smallmoney"):
        return decimal.Decimal(text)
    if base in ("float", "real"):
        return float(text)
    if base == "date":
        return datetime.date.fromisoformat(text)
    if base == "time":
        return datetime.time.fromisoformat(text)
    if base in ("datetime", "smalldatetime", "datetime2", "datetimeoffset"):
        return datetime.datetime.fromisoformat(text)
    if base == "uniqueidentifier":
        return uuid.UUID(text)
    if base in ("binary", "varbinary", "image"):
        return pytds.Binary(bytes.fromhex(text[2:]))
    return text


def play(request):
    target = request["target"]
    steps = []
    try:
        connection = connect(target)
    except pytds.Error as error:
        return {"refused": told(error), "steps": steps}
    with connection:
        for step in request["scenario"]["steps"]:
            steps.append(play_step(connection, step))
        if not connection.autocommit:
            connection.rollback()
    return {"steps": steps}


def play_step(connection, step):
    seen = {"sets": [], "errors": [], "messages": [], "affected": None}
    try:
        if step["do"] == "batch":
            with connection.cursor() as cursor:
                parameters = step.get("parameters")
                if parameters is None:
                    cursor.execute(step["sql"])
                else:
                    text = re.sub(r"@p\d+\b", "%s", step["sql"].replace("%", "%%"))
                    cursor.execute(text, tuple(value_of(each) for each in parameters))
                read(cursor, seen)
        elif step["do"] == "call":
            call(connection, step, seen)
        elif step["do"] == "bulk":
            bulk(connection, step, seen)
        elif step["do"] == "cancel":
            cancel(connection, step["sql"], seen)
        elif step["do"] == "begin":
            if "isolation" in step:
                connection.isolation_level = ISOLATION[step["isolation"]]
            connection.autocommit = False
        elif step["do"] == "commit":
            connection.commit()
            connection.autocommit = True
        elif step["do"] == "rollback":
            connection.rollback()
            connection.autocommit = True
        else:
            raise ValueError("unknown step " + step["do"])
    except (pytds.Error, ValueError) as error:
        seen["errors"].append(told(error))
    return seen


def read(cursor, seen):
    last = None
    while True:
        description = cursor.description
        rows = cursor.fetchall() if description else []
        # After a count the driver still describes the result before it.
        if description and not (description == last and not rows):
            columns = [column[0] for column in description]
            seen["sets"].append({"columns": columns, "rows": [[text_of(value) for value in row] for row in rows]})
        elif cursor.rowcount >= 0:
            seen["affected"] = cursor.rowcount
        last = description
        if not cursor.nextset():
            break


def call(connection, step, seen):
    with connection.cursor() as cursor:
        arguments = {}
        # The driver keeps the values of output parameters by their place in the call: they have to stand first.
        for argument in sorted(step["arguments"], key=lambda each: not each.get("output")):
            value = value_of(argument)
            if argument.get("output"):
                value = pytds.output(param_type=argument["type"], value=value)
            arguments["@" + argument["name"]] = value
        cursor.callproc(step["procedure"], arguments)
        read(cursor, seen)
        seen["returned"] = cursor.get_proc_return_status()
        outputs = cursor.get_proc_outputs()
        names = [argument["name"] for argument in step["arguments"] if argument.get("output")]
        seen["outputs"] = {name: text_of(value) for name, value in zip(names, outputs)}


def bulk(connection, step, seen):
    asked = step.get("options", [])
    schema, table = step["table"].split(".")
    with connection.cursor() as cursor:
        cursor.copy_to(
            table_or_view=table,
            schema=schema,
            columns=[column_of(column) for column in step["columns"]],
            data=values_of(step),
            check_constraints="CHECK_CONSTRAINTS" in asked,
            keep_nulls="KEEP_NULLS" in asked,
            tablock="TABLOCK" in asked,
        )
        seen["affected"] = cursor.rowcount


def cancel(connection, sql, seen):
    """The driver is not made for two threads: it cancels between two rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        count = 0
        while count < 5 and cursor.fetchone() is not None:
            count += 1
        cursor.cancel()
        seen["cancelled"] = {"rows": count}


def main():
    sys.stdin.reconfigure(encoding="utf-8")
    sys.stdout.reconfigure(encoding="utf-8")
    for line in sys.stdin:
        print(json.dumps(play(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
