
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const number = new Intl.NumberFormat("en");

  function element(name, attributes = {}, text = "") {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  }

  // Curves: the point under the pointer, or chosen with the arrow keys, is read out in the legend.
  function plot(figure) {
    const readings = JSON.parse(figure.dataset.readings);
    const svg = figure.querySelector(":scope > svg");
    const cross = svg.querySelector(".cross");
    const last = readings.at.length - 1;
    const cells = [...figure.querySelectorAll(".reading")];
    const names = [...figure.querySelectorAll(".legend tbody th")].map((cell) => cell.textContent);
    let here = 0;

    function show(index) {
      here = Math.min(Math.max(index, 0), last);
      const x = readings.left + (here / last) * (readings.right - readings.left);
      const line = cross.querySelector("line");
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
      cross.querySelectorAll("circle").forEach((dot, i) => {
        dot.setAttribute("cx", x);
        dot.setAttribute("cy", readings.y[i][here]);
      });
      cross.setAttribute("visibility", "visible");
      figure.querySelector(".at").textContent = readings.at[here];
      cells.forEach((cell, i) => { cell.textContent = readings.texts[i][here]; });
      svg.setAttribute("aria-valuenow", here);
      svg.setAttribute(
        "aria-valuetext", readings.at[here] + ": " + names.map((name, i) => name + " " + readings.texts[i][here]).join("; ")
      );
    }

    function follow(event) {
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      show(Math.round(((place.x - readings.left) / (readings.right - readings.left)) * last));
    }

    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -last, End: last };
    svg.setAttribute("role", "slider");
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("aria-valuemin", "0");
    svg.setAttribute("aria-valuemax", last);
    svg.setAttribute("aria-valuenow", "0");
    svg.addEventListener("pointermove", follow);
    svg.addEventListener("pointerdown", follow);
    svg.addEventListener("keydown", (event) => {
      if (!(event.key in steps)) return;
      event.preventDefault();
      show(here + steps[event.key]);
    });
  }

  // Inputs: one page of rows is in the document at a time, so ten thousand are as quick as ten.
  const ROWS = 50;
  const SMALLEST = -1e300;

  function inputs(box) {
    const runs = data.inputs;
    const control = (name) => box.querySelector(`[data-control="${name}"]`);
    const body = box.querySelector("tbody");
    const heads = [...box.querySelectorAll("th[data-key]")];
    const status = box.querySelector("[role=status]");
    let sorted = { key: "index", falling: false };
    let page = 0;
    let chosen = [];

    const run = () => runs[control("run") ? control("run").value : 0];
    const named = (classes, label) => (classes[label] === undefined || classes[label] === String(label))
      ? String(label) : `${label} ${classes[label]}`;

    function shown(row, of) {
      const [index, label, predicted, , radius, lower, upper, votes, why] = row;
      const answer = predicted < 0 ? "abstain" : named(of.classes, predicted);
      return [String(index), named(of.classes, label), answer, radius, lower, upper, votes, why];
    }

    const keys = {
      index: (row) => row[0],
      label: (row) => row[1],
      predicted: (row) => row[2],
      radius: (row) => row[3],
      lower: (row) => Number(row[5]) || SMALLEST,
      upper: (row) => Number(row[6]) || SMALLEST,
      votes: (row) => parseInt(row[7], 10) || SMALLEST,
    };
    const outcomes = {
      all: () => true,
      right: (row) => row[2] >= 0 && row[1] === row[2],
      wrong: (row) => row[2] >= 0 && row[1] !== row[2],
      abstained: (row) => row[2] < 0,
    };

    function choose() {
      const of = run();
      const wanted = control("text").value.trim().toLowerCase();
      const kept = outcomes[control("outcome").value];
      const key = keys[sorted.key];
      const turn = sorted.falling ? -1 : 1;
      if (wanted) of.texts ??= of.rows.map((row) => shown(row, of).join(" ").toLowerCase());
      const found = of.rows.filter((row, i) => kept(row) && (!wanted || of.texts[i].includes(wanted)));
      const keyed = found.map((row) => [key(row), row]);
      keyed.sort(([a, one], [b, other]) => turn * (a - b) || one[0] - other[0]);
      chosen = keyed.map(([, row]) => row);
      page = 0;
      draw();
    }

    function draw() {
      const of = run();
      const first = page * ROWS;
      const rows = chosen.slice(first, first + ROWS).map((row) => line(row, of));
      body.replaceChildren(...rows);
      const total = of.rows.length;
      const range = chosen.length ? `${number.format(first + 1)} to ${number.format(first + rows.length)} of ` : "none of ";
      const cut = chosen.length < total ? `${number.format(chosen.length)} chosen from ` : "";
      status.textContent = `${range}${chosen.length ? cut : ""}${number.format(total)} inputs`;
      const pages = Math.max(Math.ceil(chosen.length / ROWS), 1);
      for (const [name, off] of [["first", !page], ["back", !page], ["next", page >= pages - 1], ["last", page >= pages - 1]]) {
        control(name).disabled = off;
      }
    }

    function line(row, of) {
      const made = document.createElement("tr");
      const cells = shown(row, of);
      if (box.dataset.pictures) made.append(picture(row, of));
      cells.forEach((text, i) => made.append(element("td", { class: i === 7 ? "why" : i > 2 ? "right" : "" }, text)));
      return made;
    }

    function picture(row, of) {
      const cell = document.createElement("td");
      const source = of.pictures[row[0]];
      if (source) cell.append(element("img", { src: `data:image/png;base64,${source}`, alt: `input ${row[0]}`, width: 40, height: 40 }));
      return cell;
    }

    function sort(head) {
      const key = head.dataset.key;
      sorted = { key, falling: sorted.key === key && !sorted.falling };
      for (const other of heads) {
        other.setAttribute("aria-sort", other === head ? (sorted.falling ? "descending" : "ascending") : "none");
      }
      choose();
    }

    function turn(to) {
      page = Math.min(Math.max(to, 0), Math.max(Math.ceil(chosen.length / ROWS) - 1, 0));
      draw();
    }

    heads.forEach((head) => head.querySelector("button").addEventListener("click", () => sort(head)));
    for (const name of ["run", "outcome"]) control(name)?.addEventListener("change", choose);
    control("text").addEventListener("input", choose);
    control("first").addEventListener("click", () => turn(0));
    control("back").addEventListener("click", () => turn(page - 1));
    control("next").addEventListener("click", () => turn(page + 1));
    control("last").addEventListener("click", () => turn(Infinity));
    choose();
    box.hidden = false;
  }

  document.querySelectorAll("figure.plot").forEach(plot);
  document.querySelectorAll(".inputs").forEach(inputs);

  // What is folded is printed too.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));
})();
