"""Are the answers of the rows on PostgreSQL and Redis right? Compared with what is in the stores."""
import html
import json
import re

from .processes import Failed
from .stores import ROWS, number

FORTUNES = [
    (11, '<script>alert("This should not be displayed in a browser alert box.");</script>'),
    (4, "A bad random number generator: 1, 1, 1, 1, 1, 4.33e+67, 1, 1, 1"),
    (5, "A computer program does what you tell it to do, not what you want it to do."),
    (2, "A computer scientist is someone who fixes things that aren't broken."),
    (8, "A list is only as strong as its weakest link. — Donald Knuth"),
    (0, "Additional fortune added at request time."),
    (3, "After enough decimal places, nobody gives a damn."),
    (7, "Any program that runs right is obsolete."),
    (10, "Computers make very fast, very accurate mistakes."),
    (6, "Emacs is a nice operating system, but I prefer UNIX. — Tom Christaensen"),
    (9, "Feature: A bug with seniority."),
    (1, "fortune: No such file or directory"),
    (12, "フレームワークのベンチマーク"),
]


def _worlds(answer, count):
    """The rows of an answer as [(id, randomNumber)]; Failed when there are not `count` of them."""
    rows = answer if isinstance(answer, list) else [answer]
    if len(rows) != count:
        raise Failed(f"{len(rows)} rows instead of {count}")
    for row in rows:
        numbers = row.values() if isinstance(row, dict) and sorted(row) == ["id", "randomNumber"] else [None]
        if not all(type(value) is int and 1 <= value <= ROWS for value in numbers):
            raise Failed(f"{json.dumps(row)[:100]} is no row of world")
    if len({row["id"] for row in rows}) < count / 2:
        raise Failed("the rows are not drawn at random")
    return [(row["id"], row["randomNumber"]) for row in rows]


def _in_postgres(rows, stores):
    ids = ",".join(str(row) for row, _ in rows)
    lines = stores.query(f"select id, randomnumber from world where id in ({ids})").split()
    stored = dict(tuple(map(int, line.split("|"))) for line in lines)
    for row, _ in rows:  # of a row that was drawn twice one number is the last
        if stored[row] not in [value for other, value in rows if other == row]:
            raise Failed(f"row {row} is not what PostgreSQL has: {stored[row]}")


def _in_redis(rows, _):
    for row, value in rows:
        if value != number(row):
            raise Failed(f"row {row} is {value} instead of {number(row)}")


def _fortunes(page):
    cells = re.findall(r"<td>(.*?)</td>", page, re.S)
    found = [(int(row), html.unescape(text)) for row, text in zip(cells[::2], cells[1::2])]
    if not page.lstrip().lower().startswith("<!doctype html>") or not re.search(r"<tr><th>id</th><th>message</th></tr>",
                                                                                page):
        raise Failed("this is not the page of the fortunes")
    if "<script" in page:
        raise Failed("the fortunes are not escaped")
    if found != FORTUNES:
        raise Failed(f"the fortunes are not all there in their order, but {str(found)[:100]}")


def _json(count, stored):
    def judge(response, body, stores):
        if not (response.headers["Content-Type"] or "").startswith("application/json"):
            raise Failed(f"{response.headers['Content-Type']} instead of JSON")
        answer = json.loads(body)
        if isinstance(answer, list) == (count == 1):
            raise Failed("not an object" if count == 1 else "not a list")
        stored(_worlds(answer, count), stores)
    return judge


def _html(response, body, _):
    words = (response.headers["Content-Type"] or "").lower().replace(" ", "")
    if words != "text/html;charset=utf-8":
        raise Failed(f"{response.headers['Content-Type']} instead of text/html; charset=utf-8")
    _fortunes(body.decode())


# path: judge(response, body, stores), which raises Failed.
JUDGES = {
    "/db": _json(1, _in_postgres),
    "/queries?n=20": _json(20, _in_postgres),
    "/fortunes": _html,
    "/updates?n=20": _json(20, _in_postgres),
    "/cached?n=20": _json(20, _in_redis),
}
