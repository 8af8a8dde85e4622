import type { Certificate, Connect } from "../api/types";

/** Whether a certificate opens anything. */
export function standing(certificate: Certificate, now: number): "valid" | "revoked" | "over" {
  if (certificate.revoked_at !== null) return "revoked";
  return Date.parse(certificate.not_after) <= now ? "over" : "valid";
}

/** The lines by which a device gets its first certificate, for a shell on it. */
export function enrolLines(device: string, claim: string, connect: Connect): string {
  const url = new URL(connect.http.url);
  const port = connect.http.tls_port;
  const host = port === null ? url.host : `${url.hostname}:${String(port)}`;
  const user = quoted(`device:${claim}`);
  return [
    `openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout device.key -subj /CN=device -outform der |`,
    `  base64 | curl --cacert ca.pem -u ${user} -H "Content-Type: application/pkcs10" --data-binary @- \\`,
    `    https://${host}/.well-known/est/simpleenroll |`,
    `  base64 -d | openssl pkcs7 -inform der -print_certs -out device.pem`,
    `mosquitto_pub -h ${url.hostname} -p ${String(connect.mqtt.tls_port ?? 8883)} --cafile ca.pem --cert device.pem --key device.key \\`,
    `  -q 1 -t ${quoted(`devices/${device}/test`)} -m '{"value": 1}'`,
  ].join("\n");
}

/** One word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
