// Keys and certificates.

import { Certificate, ECDSA, Ed25519, RSA, createVerifier, generateSigningKey } from "@ndn/keychain";
import { Data } from "@ndn/packet";
import { Decoder, Encoder } from "@ndn/tlv";

const ALGORITHMS = { ecdsa: ECDSA, ed25519: Ed25519, rsa: RSA };

// What signs commands, and objects; undefined: a digest.
export let signer;

// Makes a key with a certificate of its own, and signs with it from now on; the certificate, in base64.
export async function sign({ name, algorithm = "ecdsa" }) {
  const [privateKey, publicKey] = await generateSigningKey(name, ALGORITHMS[algorithm]);
  const certificate = await Certificate.selfSign({ privateKey, publicKey });
  signer = privateKey.withKeyLocator(certificate.name);
  return Buffer.from(Encoder.encode(certificate.data)).toString("base64");
}

// What verifies signatures of the key of a certificate.
export async function verifierOf(certificate) {
  return createVerifier(Certificate.fromData(Decoder.decode(Buffer.from(certificate, "base64"), Data)));
}
