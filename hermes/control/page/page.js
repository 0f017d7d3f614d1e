// Keeps the overview current. Everything is in the page without it; texts are set as text, never as markup.
"use strict";

// Seconds until it is asked again: the controller says how often that makes sense.
let interval = 2;

function rate(bytes) {
    if (bytes === null) return "-";
    let bits = bytes * 8;
    for (const unit of ["bit/s", "kbit/s", "Mbit/s", "Gbit/s"]) {
        if (bits < 999.5) return (bits >= 100 || unit === "bit/s" ? bits.toFixed(0) : bits.toFixed(1)) + " " + unit;
        bits /= 1000;
    }
    return bits.toFixed(1) + " Tbit/s";
}

function trip(seconds) {
    if (seconds === null) return "-";
    return seconds < 1 ? Number((seconds * 1000).toPrecision(3)) + " ms" : seconds.toFixed(2) + " s";
}

function loss(share) {
    if (share === null) return "-";
    return share ? Number((share * 100).toPrecision(2)) + " %" : "0 %";
}

function known(values) {
    return values.filter((value) => value !== null);
}

function set(id, text) {
    const found = document.getElementById(id);
    if (found !== null && found.textContent !== text) found.textContent = text;
}

function drawLink(link, number) {
    const rates = known(link.ends.flatMap((end) => [end.sentPerSecond, end.receivedPerSecond]));
    const carried = rates.length ? rates.reduce((a, b) => a + b, 0) : null;
    const trips = known(link.ends.map((end) => end.roundTripSeconds));
    const losses = known(link.ends.map((end) => end.loss));
    const lost = losses.length ? Math.max(...losses) : 0;
    const parts = [];
    if (carried !== null) parts.push(rate(carried));
    if (trips.length) parts.push(trip(Math.min(...trips)));
    if (lost > 0) parts.push(loss(lost) + " lost");
    set("label-" + number, parts.join(" \u00b7 "));
    const line = document.getElementById("line-" + number);
    if (line !== null) {
        const steps = Math.max(0, Math.log10(Math.max(carried || 0, 1)) - 2);
        line.setAttribute("stroke-width", (1.5 + steps * 1.2).toFixed(1));
        line.setAttribute("class", "link " + link.state);
    }
    link.ends.forEach((end, place) => {
        const key = number + "-" + place;
        set("sent-" + key, rate(end.sentPerSecond));
        set("received-" + key, rate(end.receivedPerSecond));
        set("trip-" + key, trip(end.roundTripSeconds));
        set("loss-" + key, loss(end.loss));
        set("connections-" + key, String(end.connections));
        set("streams-" + key, String(end.streams));
    });
}

async function json(path) {
    const answer = await fetch("/api/v1/" + path, {headers: {accept: "application/json"}});
    if (!answer.ok) throw new Error(path + ": " + answer.status);
    return answer.json();
}

// What is there has changed, not only its numbers: the server draws it anew.
async function redraw(live) {
    const answer = await fetch("/", {headers: {accept: "text/html"}});
    if (!answer.ok) throw new Error("/: " + answer.status);
    const made = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
    if (made !== null) live.replaceWith(document.importNode(made, true));
}

// As the server makes it: see hermes.control.page.overview.stateOf.
function stateOf(graph, status) {
    const progress = status.progress ? [status.progress.step, status.progress.done] : null;
    const nodes = graph.nodes.map((node) => [node.state, node.runs, node.problem]);
    const links = graph.links.map((link) => link.ends.length);
    const newest = graph.refusals.length ? graph.refusals[0].time : "";
    return JSON.stringify([graph.shape, status.change, progress, nodes, links, newest]);
}

async function refresh() {
    const live = document.getElementById("live");
    try {
        const [graph, status] = await Promise.all([json("graph"), json("status")]);
        interval = Math.max(graph.interval, 1);
        const state = stateOf(graph, status);
        if (live.dataset.state !== state) {
            const had = live.dataset.asked === state;
            live.dataset.asked = state;
            if (!had) await redraw(live);
        }
        graph.links.forEach(drawLink);
        set("age", "live");
    } catch (error) {
        set("age", "the controller does not answer");
    }
}

async function run() {
    for (;;) {
        await new Promise((done) => setTimeout(done, interval * 1000));
        if (!document.hidden) await refresh();
    }
}

if (document.getElementById("live") !== null) run();
