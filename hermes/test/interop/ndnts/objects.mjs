// Interests and Data; objects in segments, with versions and metadata.

import { createHash } from "node:crypto";

import { consume, produce } from "@ndn/endpoint";
import { AltUri } from "@ndn/naming-convention2";
import { Data, Interest } from "@ndn/packet";
import { Metadata, retrieveMetadata, serveMetadata } from "@ndn/rdr";
import { FileChunkSource, discoverVersion, fetch as fetchSegments, serve, serveVersioned } from "@ndn/segmented-object";

import { signer, verifierOf } from "./keys.mjs";

// Sends an Interest.
export async function get({ name, canBePrefix = false, mustBeFresh = false, lifetime = 4000 }) {
  const interest = new Interest(AltUri.parseName(name), Interest.Lifetime(lifetime));
  interest.canBePrefix = canBePrefix;
  interest.mustBeFresh = mustBeFresh;
  const data = await consume(interest);
  return { name: AltUri.ofName(data.name), content: Buffer.from(data.content).toString(), freshness: data.freshnessPeriod };
}

let release;

// Answers every Interest under a prefix with so many bytes, or with a text. Where they are held, that is not before they
// are released.
export function answer({ prefix, content, size, held = false, freshness = 1000 }) {
  const bytes = content === undefined ? Buffer.alloc(size) : Buffer.from(content);
  const due = held ? new Promise((resolve) => { release = resolve; }) : undefined;
  produce(prefix, async ({ name }) => {
    await due;
    return new Data(name, Data.FreshnessPeriod(freshness), bytes);
  }, { concurrency: Infinity });
}

// Lets all go that was held.
export function releaseAll() {
  release();
}

let pending;

// Sends many Interests at once, and does not wait.
export function ask({ prefix, count, lifetime }) {
  const names = Array.from({ length: count }, (_, index) => `${prefix}/${index}`);
  pending = Promise.all(names.map((name) => consume(new Interest(name, Interest.Lifetime(lifetime)))));
}

// Waits for what answers them; how many have come.
export async function asked() {
  return (await pending).length;
}

// Serves a file. Where it has a version, that is found by a prefix and by metadata.
export function publish({ name, file, version, chunkSize = 8000 }) {
  const source = new FileChunkSource(file, { chunkSize });
  if (version === undefined) {
    serve(name, source, { signer });
    return name;
  }
  const server = serveVersioned(name, source, { version, signer });
  serveMetadata(new Metadata(server.prefix), { prefix: name, signer });
  return AltUri.ofName(server.prefix);
}

// Fetches an object. `by`: how its version is found: "metadata", "prefix", or not at all. `certificate`: of the key that
// has to have signed it, in base64.
export async function fetch({ name, by, certificate }) {
  const verifier = certificate && await verifierOf(certificate);
  let found = AltUri.parseName(name);
  if (by === "metadata") {
    found = (await retrieveMetadata(found, { retx: 3, verifier })).name;
  } else if (by === "prefix") {
    found = await discoverVersion(found, { cOpts: { verifier } });
  }
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const { content } of fetchSegments(found, { retxLimit: 10, verifier })) {
    hash.update(content);
    bytes += content.length;
  }
  return { name: AltUri.ofName(found), bytes, digest: hash.digest("hex") };
}
