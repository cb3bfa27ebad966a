"""An analysis as a file: Markdown, JSON, PDF, Excel.

Owns how each is laid out. PDF by reportlab, Excel by openpyxl (the extra ``apps``), each
loaded when it is first asked for. Pure, and slow enough for a thread.
"""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from itertools import groupby
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hasten.apps.consultant.archive import Analysis, SectionText


def as_markdown(analysis: Analysis) -> bytes:
    """Return it as Markdown."""
    parts = [f"# {analysis.company_name}", _line(analysis)]
    for title, sections in _chapters(analysis):
        parts.append(f"## {title}")
        parts += [f"### {one.title}\n\n{one.text}" for one in sections]
    return ("\n\n".join(parts) + "\n").encode()


def as_json(analysis: Analysis) -> bytes:
    """Return it as JSON."""
    return analysis.model_dump_json(indent=2).encode()


def as_pdf(analysis: Analysis) -> bytes:
    """Return it as a PDF with a title, a heading a chapter and page numbers."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    for name, file in (("Vera", "Vera.ttf"), ("VeraBold", "VeraBd.ttf")):
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, file))
    text = ParagraphStyle("text", fontName="Vera", fontSize=9.5, leading=14, spaceAfter=6)
    heads = [
        ParagraphStyle(f"h{size}", fontName="VeraBold", fontSize=size, leading=size * 1.3)
        for size in (20, 14, 11)
    ]
    for head in heads:
        head.spaceBefore, head.spaceAfter = 10, 5
    flow = [Paragraph(escape(analysis.company_name), heads[0]), Paragraph(_line(analysis), text)]
    for title, sections in _chapters(analysis):
        flow.append(Paragraph(escape(title), heads[1]))
        for one in sections:
            flow.append(Paragraph(escape(one.title), heads[2]))
            flow += [Paragraph(escape(block), text) for block in _blocks(one.text)]
    made = BytesIO()
    document = SimpleDocTemplate(made, pagesize=A4, title=analysis.company_name, author="Hasten")
    document.build(flow, onFirstPage=_numbered, onLaterPages=_numbered)
    return made.getvalue()


def as_excel(analysis: Analysis) -> bytes:
    """Return it as a workbook: one sheet about it, one with a row a section."""
    from openpyxl import Workbook
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
    from openpyxl.styles import Alignment, Font

    book = Workbook()
    about = book.active
    about.title = "Analysis"
    rows = [
        ("Company", analysis.company_name),
        ("Industry", analysis.industry),
        ("Frameworks", ", ".join(analysis.frameworks)),
        ("Missing", ", ".join(analysis.missing) or "nothing"),
        ("Made", _when(analysis)),
        ("Summary", analysis.summary),
    ]
    told = book.create_sheet("Sections")
    lines = [("Chapter", "Section", "Text")]
    lines += [(one.chapter_title, one.title, one.text) for one in analysis.sections]
    for sheet, table in ((about, rows), (told, lines)):
        for place, row in enumerate(table, 1):
            for column, value in enumerate(row, 1):
                cell = sheet.cell(place, column, ILLEGAL_CHARACTERS_RE.sub("", value))
                cell.data_type = "s"  # what begins with = is a text here, never a formula
                cell.alignment = Alignment(wrap_text=True, vertical="top")
    for cell in (*about["A"], *told[1]):
        cell.font = Font(bold=True)
    for sheet, widths in ((about, (14, 90)), (told, (22, 26, 110))):
        for letter, width in zip("ABC", widths, strict=False):
            sheet.column_dimensions[letter].width = width
    told.freeze_panes = "A2"
    made = BytesIO()
    book.save(made)
    return made.getvalue()


EXPORTS: dict[str, tuple[str, Callable[[Analysis], bytes]]] = {
    "md": ("text/markdown; charset=utf-8", as_markdown),
    "json": ("application/json", as_json),
    "pdf": ("application/pdf", as_pdf),
    "xlsx": ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", as_excel),
}
"""By the file's ending: its media type, and what makes it."""


def _chapters(analysis: Analysis) -> Iterator[tuple[str, Iterator[SectionText]]]:
    return groupby(analysis.sections, key=lambda one: one.chapter_title)


def _line(analysis: Analysis) -> str:
    missing = f" · without {', '.join(analysis.missing)}" if analysis.missing else ""
    return f"{_when(analysis)} · {', '.join(analysis.frameworks)}{missing}"


def _when(analysis: Analysis) -> str:
    return f"{datetime.fromtimestamp(analysis.created_at_s, UTC):%Y-%m-%d %H:%M} UTC"


def _blocks(text: str) -> list[str]:
    return [
        " ".join(block.split()) for block in text.replace("**", "").split("\n") if block.strip()
    ]


def _numbered(canvas: object, document: object) -> None:
    canvas.setFont("Vera", 8)  # type: ignore[attr-defined]
    canvas.drawRightString(540, 30, str(document.page))  # type: ignore[attr-defined]
