// NFD's management protocol, by NDNts's client of it.

import { AltUri } from "@ndn/naming-convention2";
import {
  ChannelStatus, ControlCommandOptions, ControlParameters, CsInfo, FaceQuery, FaceStatus, GeneralStatus, PrefixAnn,
  RibEntry, StrategyChoice, invokeCsErase, invokeGeneric, list as fetchDataset,
} from "@ndn/nfdmgmt";
import { Component, Name, StructFieldName } from "@ndn/packet";
import { EvDecoder, StructBuilder, StructFieldNNI, StructFieldType } from "@ndn/tlv";

import { signer } from "./keys.mjs";

const PARAMETERS = [
  "name", "faceId", "uri", "localUri", "origin", "cost", "capacity", "count", "flags", "mask", "strategy",
  "expirationPeriod", "facePersistency", "baseCongestionMarkingInterval", "defaultCongestionThreshold", "mtu",
];

// NDNts knows no FIB: its types (NFD Management, "FIB Dataset") are made with its means.
const nextHop = new StructBuilder("NextHop").add(0x69, "faceId", StructFieldNNI, { required: true })
  .add(0x6A, "cost", StructFieldNNI, { required: true }).setIsCritical(EvDecoder.neverCritical);
class NextHop extends nextHop.baseClass() {}
nextHop.subclass = NextHop;
const fibEntry = new StructBuilder("FibEntry", 0x80).add(0x07, "name", StructFieldName, { required: true })
  .add(0x81, "nextHop", StructFieldType.nest(NextHop), { repeat: true }).setIsCritical(EvDecoder.neverCritical);
class FibEntry extends fibEntry.baseClass() {
  static datasetName = "fib/list";
}
fibEntry.subclass = FibEntry;

const DATASETS = { ChannelStatus, CsInfo, FaceStatus, FibEntry, GeneralStatus, RibEntry, StrategyChoice };

function plain(value) {
  if (value instanceof Name) {
    return AltUri.ofName(value);
  }
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (typeof value === "object") {
    const there = Object.entries(value).filter(([, each]) => each !== undefined);
    return Object.fromEntries(there.map(([name, each]) => [name, plain(each)]));
  }
  return value;
}

// Gives a command.
export async function invoke({ command, parameters = {}, prefix }) {
  const fields = { ...parameters };
  for (const name of ["name", "strategy"]) {
    if (name in fields) {
      fields[name] = new Name(fields[name]);
    }
  }
  // The constructor passes over fields that stand for one bit of others.
  return respond(command, Object.assign(new ControlParameters(), fields), prefix);
}

// Gives a command whose arguments are some bytes, in hexadecimal digits.
export async function invokeRaw({ command, hex }) {
  return respond(command, Buffer.from(hex, "hex"));
}

// Gives the command that holds a prefix announcement.
export async function announce({ name, milliseconds }) {
  const { data } = await PrefixAnn.build({ announced: name, expirationPeriod: milliseconds, signer });
  return respond("rib/announce", data, undefined, ControlCommandOptions.formatCommandAppParams);
}

async function respond(command, parameters, prefix, formatCommand) {
  const options = { signer, formatCommand, ...(prefix && { prefix: new Name(prefix) }) };
  const response = await invokeGeneric(command, parameters, options);
  const body = response.body.length > 0 ? ControlParameters.decodeFromResponseBody(response) : {};
  const told = Object.fromEntries(PARAMETERS.map((name) => [name, body[name]]));
  return { code: response.statusCode, text: response.statusText, body: plain(told) };
}

// Fetches a dataset; with a filter, that of the faces that it is about.
export async function list({ dataset, filter }) {
  return plain(await fetchDataset(filter ? FaceQuery(filter) : DATASETS[dataset]));
}

// Asks about faces with a filter that is some bytes, in hexadecimal digits.
export async function listRaw({ hex }) {
  return fetchDataset("faces/query", [new Component(0x08, Buffer.from(hex, "hex"))], FaceStatus);
}

// Erases all packets under a name, in as many commands as it takes.
export async function erase({ name }) {
  return invokeCsErase(new Name(name));
}
