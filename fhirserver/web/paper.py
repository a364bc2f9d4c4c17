"""A record on paper: a PDF that a pharmacy or a hospital abroad can read."""

from datetime import UTC, datetime
from pathlib import Path

from django.utils.translation import get_language
from django.utils.translation import gettext as _
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from . import readable

FONTS = Path(__file__).parent / "fonts"
PARTS = ("allergies", "medicines", "problems", "results", "vaccines", "imaging", "documents", "visits", "past")


class Paper(FPDF):
    """Headings, lines and a foot with the page's number."""

    def __init__(self, title):
        super().__init__()
        self.add_font("DejaVu", "", FONTS / "DejaVuSans.ttf")
        self.add_font("DejaVu", "B", FONTS / "DejaVuSans-Bold.ttf")
        self.set_title(title)
        self.set_lang(get_language() or "en")
        self.set_auto_page_break(True, 18)
        self.add_page()

    def footer(self):
        self.set_y(-14)
        self.set_font("DejaVu", "", 8)
        self.cell(0, 6, f"{self.title} · {self.page_no()}", align="C")

    def said(self, text, size=10, style="", space=0):
        self.set_font("DejaVu", style, size)
        self.multi_cell(0, size * 0.5, text, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(space)


def pdf(patient, parts):
    """Bytes of the document."""
    names = {
        "allergies": _("Allergies"), "medicines": _("Current medicines"), "problems": _("Current problems"),
        "results": _("Latest results"), "vaccines": _("Vaccines"), "imaging": _("Imaging"),
        "documents": _("Documents"), "visits": _("Last visits"), "past": _("Past problems"),
    }  # fmt: skip
    heading = _("Health record")
    paper = Paper(f"{heading} · {patient['name']}")
    paper.said(patient["name"], 18, "B", 1)
    facts = [f"{_('birth name')} {patient['birth_name']}"] if patient["birth_name"] else []
    facts += [str(patient["gender"]), f"{patient['born']} {patient['birth']}"]
    facts += [f"{'INS ' if i['ins'] else ''}{i['value']}" for i in patient["identifiers"][:1]]
    paper.said(" · ".join(facts), 10, "", 1)
    paper.said(_("As of %(when)s") % {"when": readable.instant(datetime.now(UTC))}, 9, "", 3)
    for part in PARTS:
        paper.said(names[part], 13, "B", 1)
        for each in parts[part]:
            flag = {"high": f" ({_('high')})", "low": f" ({_('low')})"}.get(each["flag"], "")
            paper.said("  -  ".join(filter(None, (each["title"], each["remark"], each["when"]))), 10, "B")
            if each["summary"]:
                paper.said(f"{each['summary']}{flag}  {each.get('range', '')}", 10, "", 1)
        if not parts[part]:
            paper.said(_("Nothing recorded."), 10)
        paper.ln(2)
    return bytes(paper.output())
