"""The look of the verdict page: one A4 page of facts, then details; the same on screen and on paper."""

CSS = """
:root{--ink:#16202b;--soft:#55626f;--line:#d5dbe1;--wash:#f4f6f8;--tone:#3c4a58;--accent:#1f5f8b}
.PASS{--tone:#1d6a8a}.REVIEW{--tone:#a8690a}.FAIL{--tone:#8c1d40}.INCONCLUSIVE{--tone:#5b5f77}
.VOID{--tone:#3a3a3a}
*{box-sizing:border-box}
html{background:#e6eaee}
body{font:14px/1.5 "Segoe UI",Roboto,"Helvetica Neue",Arial,"Liberation Sans",sans-serif;color:var(--ink);
max-width:880px;margin:24px auto;padding:36px 44px 28px;background:#fff;box-shadow:0 1px 8px #0002}
h1{font-size:13px;letter-spacing:.09em;text-transform:uppercase;color:var(--soft);margin:0;font-weight:600}
h2{font-size:15px;margin:30px 0 8px;padding-bottom:4px;border-bottom:1px solid var(--line)}
p{margin:6px 0}
header{display:flex;justify-content:space-between;align-items:flex-end;gap:24px;margin-bottom:16px}
header .model{font-size:25px;font-weight:650;line-height:1.2}
header .facts{text-align:right;color:var(--soft);font-size:12.5px;white-space:nowrap}
.demo{background:repeating-linear-gradient(-45deg,#fff3cf 0 14px,#ffe9a8 14px 28px);
border:1px solid #c99a1b;
padding:7px 14px;font-weight:600;margin:0 0 16px}
.strip{display:grid;grid-template-columns:auto 1fr;background:var(--tone);color:#fff}
.strip .word{padding:18px 26px;font-size:31px;font-weight:750;letter-spacing:.04em;
border-right:1px solid #fff5;
display:flex;align-items:center;gap:14px;line-height:1}
.strip .glyph{font-size:26px;border:2.5px solid #fff;border-radius:50%;width:44px;height:44px;
display:grid;place-items:center}
.strip .says{padding:14px 24px;align-self:center}
.strip .says b{font-size:19px;display:block;line-height:1.3}
.cards{display:grid;grid-template-columns:1.25fr 1fr;gap:18px;margin-top:18px}
.card{background:var(--wash);border-left:4px solid var(--tone);padding:12px 18px}
.card h3{margin:0 0 6px;font-size:12px;letter-spacing:.07em;text-transform:uppercase;color:var(--soft)}
ol,ul{margin:4px 0;padding-left:20px}li{margin:3px 0}
table{border-collapse:collapse;width:100%;font-size:13px;margin-top:6px}
th{text-align:left;color:var(--soft);font-weight:600;font-size:12px;border-bottom:1.5px solid var(--line);
padding:4px 12px 4px 0}
td{vertical-align:top;border-bottom:1px solid var(--line);padding:6px 12px 6px 0}
td.costs{white-space:nowrap}td.state{white-space:nowrap;font-weight:650}
td .ask{color:var(--soft);font-size:12px}
tr.failed td{background:#faf0f3}tr.failed td.state{color:#8c1d40}
tr.na td.state{color:var(--soft);font-weight:400}
.num{font-variant-numeric:tabular-nums}
.plots{display:grid;grid-template-columns:1.75fr 1fr;gap:28px;align-items:start}
figure{margin:6px 0}figcaption{font-size:12.5px;color:var(--soft);margin-top:4px}
svg{width:100%;height:auto;display:block;font:11.5px "Segoe UI",Roboto,Arial,"Liberation Sans",sans-serif}
svg text{fill:var(--ink)}svg .tick{fill:var(--soft);font-size:10.5px}
.axis,.frame{stroke:#9aa6b2;fill:none}.bar{fill:#b9c5d0;stroke:#7d8b99;stroke-width:.6}
.bar.target{fill:#33536f;stroke:#1b2f40}.bar.member{fill:#fff;stroke:#33536f;stroke-width:1.2}
.threshold{stroke:#8c1d40;stroke-width:1.8;stroke-dasharray:5 3}
.curve{fill:none;stroke:var(--accent);stroke-width:2.2}.under{fill:#1f5f8b1a}
.chance{stroke:#9aa6b2;stroke-dasharray:3 3}
dl{display:grid;grid-template-columns:150px 1fr;gap:3px 16px;margin:8px 0;font-size:13px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.mono,code{font-family:"Cascadia Mono",Consolas,"DejaVu Sans Mono","Liberation Mono",monospace;
font-size:11.5px}
.words{font-weight:650;color:var(--ink)}.keyed{font-size:12.5px;color:var(--soft);margin-top:14px}
.sign{display:grid;grid-template-columns:1fr 1fr 1fr;gap:26px;margin-top:40px}
.sign div{border-top:1px solid var(--ink);padding-top:4px;font-size:12px;color:var(--soft)}
footer{margin-top:26px;padding-top:10px;border-top:1px solid var(--line);font-size:12px;color:var(--soft)}
@media(max-width:720px){body{padding:18px}.cards,.plots,.strip,header{display:block}.strip .word{border:0}
header .facts{text-align:left;margin-top:6px}}
@media print{@page{size:A4;margin:12mm 14mm}html{background:#fff}
body{box-shadow:none;margin:0;padding:0;max-width:none;font-size:8.9pt;line-height:1.36}
.strip,.card,.demo,.bar,.under,tr.failed td{-webkit-print-color-adjust:exact;print-color-adjust:exact}
.strip .word{font-size:22pt;padding:12px 20px}.strip .says b{font-size:13pt}
table,dl{font-size:8pt}td{padding:3px 10px 3px 0}td .ask{display:none}th{font-size:7.6pt}
figcaption{font-size:7.8pt}
h2{margin:15px 0 6px;font-size:10.5pt;break-after:avoid}header .model{font-size:17pt}
h2.details{break-before:page}figure,tr,.card,.signature,dl{break-inside:avoid}
.card{padding:8px 14px}.cards{margin-top:12px}.sign{margin-top:34px}.plots{grid-template-columns:2.1fr 1fr}
.mono{font-size:7.4pt}}
"""
