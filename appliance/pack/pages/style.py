"""The look of a pack's pages: the same on a screen, in the dark, on paper and in ten years.

Colours stand in one table, so that their contrast can be computed; nothing is told by colour alone. The
verdict page is one sheet of A4 or US Letter: `page.py` chooses how closely it is set.
"""

from __future__ import annotations

from typing import Final

LIGHT: Final = {
    "ink": "#16202b",
    "soft": "#4d5a67",
    "paper": "#ffffff",
    "wash": "#f4f6f8",
    "line": "#d5dbe1",
    "bad": "#8c1d40",
    "badwash": "#faf0f3",
    "note": "#ffe9a8",
    "accent": "#1f5f8b",
    "white": "#ffffff",
    "PASS": "#1d6a8a",
    "REVIEW": "#8a5606",
    "FAIL": "#8c1d40",
    "INCONCLUSIVE": "#5b5f77",
    "VOID": "#3a3a3a",
    "OTHER": "#3c4a58",
}
DARK: Final = LIGHT | {
    "ink": "#e6ebf0",
    "soft": "#a9b6c2",
    "paper": "#12181e",
    "wash": "#1b232b",
    "line": "#3a4651",
    "bad": "#ffb3c7",
    "badwash": "#3a1a26",
    "note": "#4a3a08",
    "accent": "#8ec5ea",
}
TEXT_ON: Final = (
    ("ink", "paper"),
    ("ink", "wash"),
    ("ink", "badwash"),
    ("ink", "note"),
    ("soft", "paper"),
    ("soft", "wash"),
    ("soft", "badwash"),
    ("bad", "badwash"),
    ("accent", "paper"),
    *(("white", word) for word in ("PASS", "REVIEW", "FAIL", "INCONCLUSIVE", "VOID", "OTHER")),
)
"""(text, ground): every pair that a page sets."""


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


_TONES = "".join(
    f".{word}{{--tone:var(--{word})}}" for word in ("PASS", "REVIEW", "FAIL", "INCONCLUSIVE", "VOID", "OTHER")
)
_SANS = '"Segoe UI",Roboto,"Helvetica Neue",Arial,"Liberation Sans","DejaVu Sans",sans-serif'
_MONO = '"Cascadia Mono",Consolas,"DejaVu Sans Mono","Liberation Mono",monospace'

CSS: Final = f"""
:root{{color-scheme:light dark;{_variables(LIGHT)}}}{_TONES}
*{{box-sizing:border-box}}
html{{background:var(--line)}}
body{{font:14px/1.5 {_SANS};color:var(--ink);background:var(--paper);
max-width:880px;margin:24px auto;padding:36px 44px 28px}}
h1{{font-size:25px;font-weight:650;line-height:1.2;margin:0;overflow-wrap:anywhere}}
h1 .kind{{display:block;font-size:13px;letter-spacing:.09em;text-transform:uppercase;color:var(--soft)}}
h2{{font-size:15px;margin:26px 0 8px;padding-bottom:4px;border-bottom:1px solid var(--line)}}
h3{{font-size:13.5px;margin:14px 0 4px}}
p{{margin:6px 0;overflow-wrap:anywhere}}li,td{{overflow-wrap:anywhere}}
header{{display:flex;justify-content:space-between;align-items:flex-end;gap:24px;margin-bottom:14px}}
header .facts{{text-align:right;color:var(--soft);font-size:12.5px;white-space:nowrap}}
.demo{{background:var(--note);border:2px dashed var(--ink);padding:6px 14px;font-weight:600;margin:0 0 14px}}
.strip{{display:grid;grid-template-columns:auto 1fr;background:var(--tone);color:var(--white)}}
.strip .word{{padding:16px 24px;font-size:29px;font-weight:750;letter-spacing:.04em;line-height:1;
border-right:1px solid var(--white);white-space:nowrap;align-self:center}}
.strip .glyph{{font-size:24px;border:2.5px solid var(--white);border-radius:50%;width:42px;height:42px;
display:inline-block;vertical-align:middle;margin-right:14px;line-height:38px;text-align:center}}
.strip .says{{padding:12px 22px;align-self:center}}
.strip .says b{{font-size:18px;display:block;line-height:1.3}}
.cards{{display:grid;grid-template-columns:1.25fr 1fr;gap:16px;margin-top:16px}}
.card{{background:var(--wash);border-left:4px solid var(--tone);padding:10px 16px}}
.card h2{{margin:0 0 6px;border:0;padding:0;font-size:12px;letter-spacing:.07em;text-transform:uppercase;
color:var(--soft)}}
.open{{border:1.5px solid var(--ink);padding:8px 14px;margin:14px 0}}
ol,ul{{margin:4px 0;padding-left:20px}}li{{margin:3px 0}}
table{{border-collapse:collapse;width:100%;font-size:13px;margin:6px 0 14px}}
caption{{text-align:left;font-weight:600;padding:4px 0}}
thead th{{text-align:left;color:var(--soft);font-weight:600;font-size:12px;vertical-align:bottom;
border-bottom:1.5px solid var(--line);padding:4px 12px 4px 0}}
tbody th{{text-align:left;font-weight:600}}
td,tbody th{{vertical-align:top;border-bottom:1px solid var(--line);padding:6px 12px 6px 0}}
.state{{white-space:nowrap;font-weight:650}}.costs{{font-weight:400}}.whole{{white-space:nowrap}}
.ask{{display:block;color:var(--soft);font-size:12px;font-weight:400}}
tr.failed td,tr.failed th{{background:var(--badwash)}}tr.failed .state{{color:var(--bad)}}
tr.na .state{{color:var(--soft);font-weight:400}}
.crosswalk{{table-layout:fixed}}.crosswalk th:nth-child(1){{width:18%}}.crosswalk th:nth-child(2){{width:15%}}
.crosswalk th:nth-child(4){{width:25%}}
.num{{font-variant-numeric:tabular-nums}}.soft{{color:var(--soft)}}
.plots{{display:grid;grid-template-columns:1.75fr 1fr;gap:28px;align-items:start}}
figure{{margin:6px 0}}figcaption{{font-size:12.5px;color:var(--soft);margin-top:4px}}
svg{{width:100%;height:auto;display:block}}
dl{{display:grid;grid-template-columns:170px 1fr;gap:3px 16px;margin:8px 0;font-size:13px}}
dt{{color:var(--soft)}}dd{{margin:0;overflow-wrap:anywhere}}
.mono,code{{font-family:{_MONO};font-size:11.5px}}
.words{{font-weight:650;color:var(--ink)}}.keyed{{font-size:12.5px;color:var(--soft);margin-top:12px}}
.sign{{display:grid;grid-template-columns:1fr 1fr 1fr;gap:26px;margin-top:38px}}
.sign div{{border-top:1px solid var(--ink);padding-top:4px;font-size:12px;color:var(--soft)}}
.blank{{display:block;border:1.5px solid var(--ink);background:var(--paper);min-height:54px;margin:6px 0 4px}}
.choice{{list-style:none;padding:0}}.choice .box{{display:inline-block;width:15px;height:15px;
border:1.5px solid var(--ink);margin-right:8px;vertical-align:-2px}}
footer{{margin-top:22px;padding-top:8px;border-top:1px solid var(--line);font-size:12px;color:var(--soft)}}
@media(max-width:720px){{body{{padding:18px;margin:0}}.cards,.plots,.strip,header,dl,.sign{{display:block}}
.strip .word{{border:0}}header .facts{{text-align:left;margin-top:6px;white-space:normal}}
table{{display:block;overflow-x:auto}}.sign div{{margin-top:34px}}}}
@media screen and (prefers-color-scheme:dark){{:root{{{_variables(DARK)}}}
svg{{background:var(--white);border-radius:3px}}}}
@media print{{@page{{margin:9mm 14mm}}html{{background:none}}
body{{margin:0;padding:0;max-width:none;font-size:9pt;line-height:1.38}}
.strip,.card,.demo,tr.failed td,tr.failed th{{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
h1{{font-size:16pt}}h1 .kind{{font-size:8.5pt}}
header .facts,figcaption,.keyed,.sign div,footer{{font-size:7.8pt}}
.strip .word{{font-size:21pt;padding:11px 18px}}.strip .says b{{font-size:12.5pt}}
table,dl{{font-size:8.2pt}}td,tbody th{{padding:3px 10px 3px 0}}thead th,.ask{{font-size:7.6pt}}
h2{{margin:14px 0 5px;font-size:10.5pt;break-after:avoid}}h3{{break-after:avoid}}.card h2{{font-size:8pt}}
figure,tr,.card,.signature,.keep{{break-inside:avoid}}
.mono,code{{font-size:7.4pt}}
.sheet .cards{{margin-top:9px}}.sheet h2{{margin:9px 0 3px}}.sheet .card h2{{margin:0 0 3px}}
.sheet p{{margin:3px 0}}.sheet .sign{{margin-top:30px}}.sheet footer{{margin-top:8px;padding-top:4px}}
.sheet .open{{margin:8px 0;padding:5px 12px}}
.sheet header{{margin-bottom:9px}}.sheet .demo{{margin-bottom:9px}}
.close{{font-size:8.1pt;line-height:1.3}}.close table,.close dl{{font-size:7.6pt}}
.close .strip .says b{{font-size:11pt}}.close h1{{font-size:14pt}}
.closest{{font-size:7.4pt;line-height:1.24}}.closest dl{{font-size:7pt}}
.closest .strip .says b{{font-size:10pt}}
.closest h1{{font-size:12pt}}.closest .strip .word{{font-size:17pt;padding:6px 14px}}
.closest .sign{{margin-top:22px}}.closest .plots,.close .plots{{grid-template-columns:1.5fr .7fr}}
.closest figcaption,.closest footer,.closest .keyed,.closest header .facts{{font-size:7pt;line-height:1.2}}
.closest td,.closest dd,.closest dt{{line-height:1.15}}.closest dl{{gap:1px 14px;margin:3px 0}}
.closest figure{{margin:2px 0}}.closest svg{{width:76%}}
.closest .plots{{grid-template-columns:1.6fr .6fr}}
.closest h2{{font-size:9pt;margin:5px 0 2px}}
.closest .card h2{{font-size:7.4pt}}.closest .card{{padding:5px 12px}}
.closest .strip .glyph{{width:34px;height:34px;line-height:30px;font-size:20px}}
.closest p,.closest li{{margin:2px 0}}
.closest .cards{{grid-template-columns:1.5fr 1fr}}.closest ol{{margin:2px 0}}}}
"""
