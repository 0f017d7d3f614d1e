// A program on NDNts at a forwarder. It does what a line of JSON asks for, one after the other, and answers each with a
// line: {"answer": ...}, or {"error": "..."} where NDNts throws.
//
//     node peer.mjs FACE
//
// FACE is unix:PATH, tcp:HOST:PORT, udp:HOST:PORT or ws:HOST:PORT. What is asked for is {"do": NAME, ...}: a function of
// management.mjs, objects.mjs or keys.mjs.

import { createInterface } from "node:readline";

import { Forwarder } from "@ndn/fw";
import { AltUri } from "@ndn/naming-convention2";
import { enableNfdPrefixReg } from "@ndn/nfdmgmt";
import { TcpTransport, UdpTransport, UnixTransport } from "@ndn/node-transport";
import { Nack } from "@ndn/packet";
import { WsTransport } from "@ndn/ws-transport";

import { sign } from "./keys.mjs";
import * as management from "./management.mjs";
import * as objects from "./objects.mjs";

const [, transport, rest] = /^(\w+):(.*)$/.exec(process.argv[2]);
const [, host, port] = /^(.*):(\d+)$/.exec(rest) ?? [];

// What the application programming interface does not tell: Nacks, which NDNts passes over, and congestion marks.
const noticed = { nacks: [], marks: 0 };
Forwarder.getDefault().addEventListener("pktrx", ({ packet }) => {
  if (packet.l3 instanceof Nack) {
    noticed.nacks.push([AltUri.ofName(packet.l3.interest.name), packet.l3.reason]);
  }
  if (packet.congestionMark) {
    ++noticed.marks;
  }
});

const face = await {
  unix: () => UnixTransport.createFace({}, rest),
  tcp: () => TcpTransport.createFace({}, host, Number(port)),
  udp: () => UdpTransport.createFace({}, host, Number(port)),
  ws: () => WsTransport.createFace({}, `ws://${rest}`),
}[transport]();

const actions = {
  ...management,
  ...objects,
  sign,
  // Registers every prefix from now on that something is served under.
  register(options) {
    enableNfdPrefixReg(face, options);
  },
  noticed: () => noticed,
};

function tell(what) {
  // JSON has no BigInt.
  console.log(JSON.stringify(what, (key, value) => (typeof value === "bigint" ? Number(value) : value)));
}

for await (const line of createInterface({ input: process.stdin })) {
  const { do: action, ...options } = JSON.parse(line);
  try {
    tell({ answer: (await actions[action](options)) ?? null });
  } catch (error) {
    tell({ error: String(error) });
  }
}
process.exit();
