"""The page of a study: what it says, and how it behaves in a browser."""

import re
import shutil

import pandas as pd
import pytest

import studies
from studies import api
from studies.analysis.tables import of_reading
from studies.show import figures, html, report, texts
from studies.spec import spec

SPEC = """
title = "Odd <b>names</b>"
question = "Is 1 < 2 & 3 > 2?"
[data]
name = "disk"
samples = 60
test_samples = 40
[validation]
folds = 3
[base]
hidden = [4]
batch_size = 16
epochs = 3
history_every = 1
optimizer = { name = "sgd", lr = 0.1 }
[[grid]]
model = [
  { label = "<script>document.title='run'</script>", activation = "relu" },
  { label = "a \\"quoted\\" & 'odd' level", activation = "tanh" },
  { label = "diverging", optimizer = { name = "sgd", lr = 1e9 }, loss = "mse", outputs = "single", output = "linear" },
]
init = ["he", "xavier"]
"""
MANY = 120  # rows, more than a page shows at once
LONG = pd.DataFrame(
    {
        "level": [f"level {index}" for index in range(MANY)],
        "value": ["", "baseline", "1,200", "< 0.001", "-3.50", "+2.5", *(str(10 + index) for index in range(6, MANY))],
        "interval": [f"{index}.5 to {index + 1}.5" for index in range(MANY)],
    }
)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The study, its folder, and its page."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "odd.toml").write_text(SPEC)
    study = spec.load(str(folder / "odd.toml"))
    studies.run(study, results=folder / "results", jobs=1)
    return study, folder, api.write_report(study, folder / "results", folder / "figures")


@pytest.fixture(scope="module")
def browser():
    """One headless Chromium for all tests."""
    webdriver = pytest.importorskip("selenium.webdriver")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("there is no chromium with chromedriver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield opened
    opened.quit()


@pytest.fixture
def opened(browser, written):
    """The study's page in the browser."""
    browser.get(written[2].as_uri())
    return browser


@pytest.fixture
def long(browser, tmp_path):
    """A page with one long table in the browser."""
    (tmp_path / "long.html").write_text(html.document("Long", html.table("A long table", LONG, left=1)))
    browser.get((tmp_path / "long.html").as_uri())
    return browser


def column(browser, place):
    """The cells of a column that can be seen, from the top."""
    return browser.execute_script(
        "return [...document.querySelectorAll('tbody tr')].filter(row => row.offsetHeight)"
        ".map(row => row.cells[arguments[0]].innerText)",
        place,
    )


def test_it_loads_without_an_error_or_a_request(opened):
    assert opened.get_log("browser") == []
    requests = opened.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert [name for name in requests if not name.startswith("data:")] == []


def test_it_refers_to_nothing_outside_itself(written):
    assert re.findall(r'(?:src|href)="(?!data:|#)[^"]*|url\(|@import', written[2].read_text()) == []


def test_names_are_text_and_never_markup(opened):
    assert opened.title == "Odd <b>names</b>"
    assert opened.execute_script("return document.scripts.length") == 1
    assert opened.execute_script("return document.querySelectorAll('b').length") == 0
    text = opened.execute_script("return document.body.textContent")
    for name in ("<script>document.title='run'</script>", "a \"quoted\" & 'odd' level", "Is 1 < 2 & 3 > 2?"):
        assert name in text


def test_every_picture_shows_and_is_described(opened, written):
    shown = opened.execute_script("return [...document.images].map(image => [image.naturalWidth, image.alt])")
    drawn = list((written[1] / "figures" / "odd").glob("*.png"))
    assert len(shown) == len(drawn) > 8
    assert all(width > 0 and len(alt) > 20 for width, alt in shown)


def test_it_is_readable_at_400_pixels(opened):
    opened.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    assert opened.execute_script("return innerWidth") == 400
    assert opened.execute_script("return document.documentElement.scrollWidth") <= 400
    parts = "[...document.querySelectorAll('h1, h2, p, li, .title, .tools, figcaption')]"
    assert opened.execute_script(f"return {parts}.filter(part => part.getBoundingClientRect().right > 400)") == []
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_click_sorts_by_number_and_a_second_one_turns_it(long):
    header = long.find_elements("css selector", "thead button")[1]
    header.click()
    assert column(long, 1)[:4] == ["-3.50", "< 0.001", "+2.5", "16"]
    assert header.find_element("xpath", "..").get_attribute("aria-sort") == "ascending"
    header.click()
    assert column(long, 1)[:3] == ["1,200", "129", "128"]
    assert header.find_element("xpath", "..").get_attribute("aria-sort") == "descending"
    assert [head.get_attribute("aria-sort") for head in long.find_elements("css selector", "th[aria-sort=none]")] == [
        "none"
    ] * 2


SORTED = {
    "rates": ("names", ["1e-05", "0.001", "0.25", "1", "10"]),
    "settings": ("names", ["adam lr=1e-05", "adam lr=0.001", "sgd", "sgd lr=0.05", "sgd lr=0.1", "sgd lr=0.1 momentum=0.9"]),
    "negative names": ("names", ["-1", "-0.5", "0", "0.5"]),
    "widths": ("names", ["8-8", "16-2", "16-16"]),
    "percent and minus signs": ("numbers", ["\u2212100.0%", "-3.5%", "\u22120.25%", "+0.25%", "12.5%"]),
    "intervals": ("numbers", ["-9.00 to 1.00", "-1.00 to 1.00", "0.50 to 0.90", "-2.00 to 5.00", "1.00 to 4.00"]),
    "thousands": ("numbers", ["< 0.001", "0.001", "999", "1,000", "1,000,000"]),
}


@pytest.mark.parametrize(("kind", "expected"), SORTED.values(), ids=SORTED)
def test_numbers_sort_as_numbers_wherever_they_stand(browser, tmp_path, kind, expected):
    shuffled = sorted(expected, key=lambda text: text[::-1])
    table = html.table("A table", pd.DataFrame({"column": shuffled}), left=int(kind == "names"))
    (tmp_path / "sorted.html").write_text(html.document("Sorted", table), encoding="utf-8")
    browser.get((tmp_path / "sorted.html").as_uri())
    browser.find_element("css selector", "thead button").click()
    assert column(browser, 0) == expected
    browser.find_element("css selector", "thead button").click()
    assert column(browser, 0) == expected[::-1]
    assert browser.get_log("browser") == []


def test_what_is_no_number_comes_last_either_way(long):
    long.find_element("css selector", ".all").click()
    header = long.find_elements("css selector", "thead button")[1]
    for _ in range(2):
        header.click()
        assert column(long, 1)[-2:] == ["", "baseline"]


def test_texts_sort_as_a_reader_counts(long):
    header = long.find_elements("css selector", "thead button")[0]
    header.click()
    assert column(long, 0)[:3] == ["level 0", "level 1", "level 2"]


def test_a_long_table_shows_its_first_rows_until_asked_for_all(long):
    assert len(column(long, 0)) == 50
    assert long.find_element("css selector", "output").text == "50 of 120 rows"
    button = long.find_element("css selector", ".all")
    assert button.text == "Show all 120"
    button.click()
    assert len(column(long, 0)) == MANY
    button.click()
    assert len(column(long, 0)) == 50


def test_a_filter_keeps_the_rows_with_all_its_words(long):
    long.find_element("css selector", "input").send_keys("LEVEL 119")
    assert column(long, 0) == ["level 109", "level 118", "level 119"]  # of value 119, up to 119.5, and 119 itself
    assert long.find_element("css selector", "output").text == "3 of 3 rows that fit"
    long.find_element("css selector", "input").send_keys(" nothing")
    assert column(long, 0) == []


def test_the_keyboard_alone_sorts(opened):
    keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
    for _ in range(100):
        opened.switch_to.active_element.send_keys(keys.TAB)
        if opened.execute_script("return !!document.activeElement.closest('thead')"):
            break
    focused = opened.switch_to.active_element
    assert opened.execute_script("return getComputedStyle(arguments[0]).outlineStyle", focused) == "solid"
    focused.send_keys(keys.ENTER)
    assert focused.find_element("xpath", "..").get_attribute("aria-sort") == "ascending"


def test_every_picture_has_its_place():
    places = [name for names in report.PLACES.values() for name in names]
    assert sorted(places) == sorted(figures.PICTURES)


def test_the_pictures_are_those_of_these_results(written):
    study, folder, _ = written
    picture = folder / "figures" / "odd" / "models.png"
    own = picture.read_bytes()
    picture.write_bytes(b"of other results, and newer than these tables")
    api.write_report(study, folder / "results", folder / "figures")
    assert picture.read_bytes() == own


def test_it_says_what_failed(written):
    study, folder, path = written
    html = path.read_text()
    working = api.tables_of(study, folder / "results")["summary"]["working"].sum()
    assert f"{18 - working} of 18 trials did not work: 6 diverged" in html
    # as often in every fold: no interval
    assert "<tr><th scope=row>model<th scope=row>diverging<td>100.0<td><td>6<td>" in html


def test_failures_by_hand():
    table = pd.DataFrame(
        {
            "label": ["a", "b"],
            "trials": [10, 1000],
            "diverged": [0, 2],
            "stuck": [1, 0],
            "failed": [0, 0],
            "failure_pct": [10.0, 0.2],
            "failure_ci_low_pct": [1.79, 0.05],
            "failure_ci_high_pct": [40.4, 0.73],
        }
    )
    assert texts.failures(table[::-1], ["label"]).to_numpy().tolist() == [
        ["a", "10.0", "1.8 to 40.4", "0", "1", "0", "10"],
        ["b", "0.2", "0.1 to 0.7", "2", "0", "0", "1,000"],
    ]


SAID = {
    "folds with few test rows": (
        [],
        [
            "Population: new seeds only, on these rows.",
            "Intervals are over 3 folds on the rows there are",
            "A wider population takes another design: for new rows: 100 or more test rows;",
        ],
    ),
    "folds with many test rows": (
        [("test_samples = 40", "test_samples = 100")],
        [
            "Population: this training pool, new rows to judge and new seeds.",
            "All models are judged on the same 100 rows, which may be easy or hard ones",
            "A wider population takes another design: for new data sets: data.resample = true",
        ],
    ),
    "new data for every repeat": (
        [("folds = 3", "folds = 3\nrepeats = 2"), ("samples = 60", "samples = 60\nresample = true")],
        [
            "Population: new data sets from the same source.",
            "Intervals are t intervals over 2 repeats, each the mean of its 3 folds: each draws new data",
        ],
    ),
    "no test set": (
        [("test_samples = 40", "test_samples = 0")],
        [
            "Population: new data sets from the same source.",
            "Intervals are over 3 folds of one data set. Each fold trains on rows that judge others",
            "There is no test set: the error is that of validation rows.",
        ],
    ),
}


@pytest.mark.parametrize(("changes", "said"), SAID.values(), ids=SAID)
def test_it_says_of_whom_intervals_speak_and_what_they_leave_out(tiny, tmp_path, changes, said):
    path = tiny(*changes)
    studies.run(path, results=tmp_path, jobs=1)
    study = spec.load(str(path))
    html = report.compose(study, api.tables_of(study, tmp_path), {}, None, pd.DataFrame())
    for words in [*said, "selected on the same values", "would show", "There is no manifest.json"]:
        assert words in html
    assert ("A wider population" in html) == ("wider" in " ".join(said))
    assert study.sampling.words in html


def test_one_value_each_has_no_interval(tiny, tmp_path):
    path = tiny(("folds = 3", "folds = 0"))
    studies.run(path, results=tmp_path, jobs=1)
    study = spec.load(str(path))
    html = report.compose(study, api.tables_of(study, tmp_path), {}, None, pd.DataFrame())
    assert "Each configuration has one value, and one value has no interval: add folds or repeats." in html
    assert "Population:" not in html
    assert ">nan" not in html


def test_verdicts_have_a_section_and_reasons_are_told(written):
    study, folder, _ = written
    claim = {"source": "Reader (mine)", "id": "1", "claim": "He is <better>", "study": "odd", "reading": "", "role": "primary"}
    numbers = dict.fromkeys(["published_mean", "published_sd", "published_units", "mean", "sd", "ci_low", "ci_high", "rounds"])
    verdicts = pd.DataFrame([{**claim, "measure": "test_value", **numbers, "verdict": "UNDECIDED", "reason": "Too few."}])
    found = api.tables_of(study, folder / "results")
    html = report.compose(study, found, {"curves": "not drawn: it needs a run"}, None, verdicts)
    assert "<th scope=row>1: He is &lt;better&gt;<th scope=row>UNDECIDED<th scope=row>Too few." in html
    assert "<li>Picture curves: not drawn: it needs a run." in html


READINGS = """[reading.one]
primary = true
[reading.two]
data = { test_samples = 30 }
"""


@pytest.mark.parametrize(
    ("changes", "readings", "judged"),
    [([("test_samples = 40", "test_samples = 0"), ("folds = 3", "folds = 0")], "", "train"), ([("40", "0")], READINGS, "val")],
    ids=["training rows only", "a reading with other sets"],
)
def test_a_page_of_studies_without_test_rows(tiny, tmp_path, changes, readings, judged):
    path = tiny(*changes)
    path.write_text(path.read_text() + readings)
    study = spec.load(str(path))
    studies.run(study, results=tmp_path, jobs=1)
    own = of_reading(api.tables_of(study, tmp_path), study)
    assert own["budget"][f"{judged}_value"].notna().all()
    html = api.write_report(study, tmp_path, tmp_path / "figures").read_text()
    assert "nan%" not in html
