"""A program as SQLAlchemy's users write them: tables made, read back from the catalogue, and used by its ORM.

Argument: the target as JSON. Prints what it saw as one line of JSON.
"""

import datetime
import decimal
import json
import sys

from sqlalchemy import (
    URL,
    CheckConstraint, Column, Computed, Date, DateTime, ForeignKey, Identity, Index, Integer, LargeBinary, MetaData, Numeric,
    PrimaryKeyConstraint, Sequence, String, Table, Unicode, Uuid, create_engine, func, insert, inspect, select, text,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Unicode(50), unique=True)
    version: Mapped[int] = mapped_column()
    books: Mapped[list["Book"]] = relationship(back_populates="author", cascade="all, delete-orphan", order_by="Book.id")
    __mapper_args__ = {"version_id_col": version}


class Book(Base):
    __tablename__ = "book"
    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("author.id", name="fk_book_author"))
    title: Mapped[str] = mapped_column(Unicode(80))
    price: Mapped[decimal.Decimal | None] = mapped_column(Numeric(9, 2))
    published: Mapped[datetime.date | None] = mapped_column(Date)
    author: Mapped[Author] = relationship(back_populates="books")


def catalogue(engine):
    """What was defined comes back from the catalogue."""
    tables = MetaData()
    Table(
        "item", tables,
        Column("id", Integer, Identity(start=10, increment=5)),
        Column("name", Unicode(40), nullable=False, server_default=text("N'x'"), comment="what it is called"),
        Column("amount", Numeric(12, 3)),
        Column("key", Uuid),
        Column("data", LargeBinary),
        Column("twice", Integer, Computed("id * 2", persisted=True)),
        Column("kind", String(10)),
        PrimaryKeyConstraint("id", name="pk_item"),
        CheckConstraint("amount >= 0", name="ck_amount"),
        Index("ix_item", "name", "amount", mssql_include=["kind"]),
        Index("ux_item", "kind", unique=True, mssql_where=text("kind IS NOT NULL")),
        comment="the items",
    )
    Sequence("numbers", start=5, increment=2, metadata=tables)
    tables.create_all(engine)
    tables.create_all(engine)
    Base.metadata.create_all(engine)
    found = inspect(engine)
    columns = [
        [column["name"], str(column["type"]).split(" COLLATE")[0], column["nullable"], column["default"], column["comment"]]
        for column in found.get_columns("item")
    ]
    told = {
        "tables": sorted(found.get_table_names()),
        "sequences": found.get_sequence_names(),
        "columns": columns,
        "identity": found.get_columns("item")[0]["identity"],
        "computed": found.get_columns("item")[5]["computed"],
        "comment": found.get_table_comment("item")["text"],
        "key": found.get_pk_constraint("item")["constrained_columns"],
        "indexes": [
            [
                index["name"], index["unique"], index["column_names"], index["dialect_options"]["mssql_include"],
                str(index["dialect_options"].get("mssql_where", "")),
            ]
            for index in sorted(found.get_indexes("item"), key=lambda each: each["name"])
        ],
        "foreign keys": [
            [key["name"], key["constrained_columns"], key["referred_table"], key["referred_columns"]]
            for key in found.get_foreign_keys("book")
        ],
    }
    with engine.begin() as connection:
        told["numbers"] = [connection.scalar(select(Sequence("numbers", start=5).next_value())) for _ in range(2)]
        told["views"] = None
        connection.execute(text("CREATE VIEW titles AS SELECT title FROM book"))
    told["views"] = [[name, inspect(engine).get_view_definition(name)] for name in inspect(engine).get_view_names()]
    tables.drop_all(engine)
    told["dropped"] = sorted(inspect(engine).get_table_names())
    return told


def objects(engine):
    """Rows as objects: made in one go, changed, loaded with their neighbours, deleted with their parents."""
    told = {}
    with Session(engine) as session:
        session.add_all(
            Author(
                name=f"Ünal {i}",
                books=[Book(title=f"t{i}{j}", price=decimal.Decimal("1.50") * j, published=datetime.date(2020, 2, 29)) for j in range(3)],
            )
            for i in range(30)
        )
        session.commit()
        first = session.scalars(select(Author).where(Author.name == "Ünal 1")).one()
        first.name = "Öz"
        first.books.pop()
        session.commit()
        told["changed"] = [first.name, first.version, [book.title for book in first.books]]
        page = select(Author).options(joinedload(Author.books)).order_by(Author.id.desc()).offset(1).limit(2)
        told["page"] = [[author.name, len(author.books)] for author in session.scalars(page).unique()]
        best = select(func.count(), func.sum(Book.price), func.max(Book.published)).where(Book.title.like("t2%"))
        count, total, latest = session.execute(best).one()
        told["sums"] = [count, str(total), latest.isoformat()]
        rank = func.row_number().over(partition_by=Book.author_id, order_by=Book.price.desc())
        ranked = select(Book.title, rank.label("rank")).order_by(Book.id).limit(3)
        told["ranked"] = [list(row) for row in session.execute(ranked)]
        made = session.execute(insert(Author).returning(Author.id), [{"name": f"n{i}", "version": 1} for i in range(5)])
        told["returned"] = len(made.all())
        for name, values in [("key", {"name": "n0", "version": 1}), ("foreign key", {"title": "z", "author_id": -1})]:
            try:
                with session.begin_nested():
                    session.execute(insert(Book if "title" in values else Author).values(**values))
                told[name] = "taken"
            except IntegrityError:
                told[name] = "refused"
        session.delete(first)
        session.commit()
        told["left"] = [session.scalar(select(func.count()).select_from(each)) for each in (Author, Book)]
    for level in ("READ UNCOMMITTED", "REPEATABLE READ", "SNAPSHOT", "SERIALIZABLE", "READ COMMITTED"):
        with engine.connect().execution_options(isolation_level=level) as connection:
            told.setdefault("levels", []).append(connection.get_isolation_level())
    return told


def main():
    target = json.loads(sys.argv[1])
    names = {"username": target["user"], "password": target["password"], "host": target["host"]}
    engine = create_engine(URL.create("mssql+pymssql", **names, port=target["port"], database=target["database"]))
    told = {"catalogue": catalogue(engine), "objects": objects(engine)}
    engine.dispose()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
