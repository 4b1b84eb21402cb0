"""A page of a listing: what is found by its tags is what a parser of XML finds."""

from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.stores import s3_listing
from job.stores.boto_client import open_client, open_session
from job.stores.retry import RetryPolicy
from job.stores.s3_listing import take_objects

PAGE = (
    '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<Name>b</Name>{encoding}<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>{objects}"
    "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes></ListBucketResult>"
)
OBJECT = "<Contents><Key>{}</Key><LastModified>x</LastModified><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>"
# What XML can hold, but for the carriage return, which its parsers read as a line's end.
KEYS = st.text(st.characters(exclude_characters="\r\ufffe\uffff", exclude_categories=("Cs", "Cc")), min_size=1)


def page(keys, is_encoded, of=OBJECT):
    texts = [quote(key) if is_encoded else escape(key) for key in keys]
    objects = "".join(of.format(key, f"{number:x}", number) for number, key in enumerate(texts))
    encoding = "<EncodingType>url</EncodingType>" if is_encoded else ""
    return PAGE.format(encoding=encoding, objects=objects).encode()


@given(st.lists(KEYS, max_size=5), st.booleans())
def test_objects_are_those_that_a_parser_finds(keys, is_encoded):
    body = page(keys, is_encoded)
    table, rest = take_objects(body)
    assert table["key"].to_pylist() == keys
    assert table["etag"].to_pylist() == [f'"{number:x}"' for number in range(len(keys))]
    assert table.equals(s3_listing._parse(body)[0])
    assert b"Contents" not in rest
    assert b"NextContinuationToken" in rest
    assert b"CommonPrefixes" in rest


@pytest.mark.parametrize(
    "of",
    [
        "<Contents><Key><![CDATA[{}]]></Key><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
        "<Contents><Key>{}</Key><ETag>&quot;{}&quot;</ETag><Size unit='B'>{}</Size></Contents>",
        "<Contents ><Key>{}</Key><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
    ],
)
def test_what_is_written_otherwise_is_parsed(of):
    table, rest = take_objects(page(["a b", "c"], False, of))
    assert table.to_pydict() == {"key": ["a b", "c"], "size": [0, 1], "etag": ['"0"', '"1"']}
    assert b"Contents" not in rest


@pytest.mark.parametrize("key", ["line\nbreak", "nul\0", "a+b %41&amp;", "tab\t/"])
def test_odd_keys_come_back_as_they_are(key):
    assert take_objects(page([key, "z"], True))[0]["key"].to_pylist() == [key, "z"]


def test_references_to_characters_are_read():
    body = PAGE.format(encoding="", objects=OBJECT.format("a&#38;b&#x41;&lt;&amp;lt;", "e", 3)).encode()
    assert take_objects(body)[0]["key"].to_pylist() == ["a&bA<&lt;"]


@pytest.mark.parametrize(
    ("body", "status", "rows"),
    [(b"<Error><Code>InternalError</Code></Error>", 500, 0), (page(["a", "b"], False), 200, 2)],
)
def test_an_error_in_a_page_that_says_200_is_still_an_error(body, status, rows):
    client = open_client(open_session(), RetryPolicy(), anonymous=True)
    operation = client.meta.service_model.operation_model("ListObjectsV2")
    answer, taken = {"status_code": 200, "body": body, "headers": {}}, {}
    emit = client.meta.events.emit
    emit(
        "before-parse.s3.ListObjectsV2",
        operation_model=operation,
        response_dict=answer,
        customized_response_dict=taken,
    )
    assert (answer["status_code"], taken["Rows"].num_rows) == (status, rows)
    assert b"Contents" not in answer["body"]
