// The lines to paste: each sends one reading of the device and is complete as it stands.
import type { Connect } from "../api/types";

export interface Wish {
  device: string;
  stream: string;
  token: string;
}
export type Client = "mosquitto" | "curl" | "python";
export const CLIENTS: { id: Client; label: string }[] = [
  { id: "mosquitto", label: "mosquitto_pub" },
  { id: "curl", label: "curl" },
  { id: "python", label: "Python" },
];

export function topicOf(connect: Connect, { device, stream }: Wish): string {
  return connect.topic_template.replace("{device}", device).replace("{stream}", stream);
}

/** Nothing when the hub has no door for this client, such as no MQTT listener. */
export function lineFor(client: Client, connect: Connect, wish: Wish): string | null {
  if (client === "curl") return curl(connect, wish);
  const port = connect.mqtt.port ?? connect.mqtt.tls_port;
  if (port === null) return null;
  const isTls = connect.mqtt.port === null;
  return client === "mosquitto" ? mosquitto(connect, wish, port, isTls) : python(connect, wish, port, isTls);
}

interface Reading {
  json: string;
  /** The same as a Python expression that varies. */
  python: string;
}
const CLIMATE: Reading = {
  json: '{"temperature": 21.5, "humidity": 47}',
  python: '{"temperature": round(random.gauss(21.5, 0.3), 2), "humidity": random.randint(44, 50)}',
};
const READINGS: [RegExp, Reading][] = [
  [/light|lamp/, { json: '{"brightness": 0.7, "on": true}', python: '{"brightness": round(random.uniform(0.6, 0.8), 2), "on": True}' }],
  [/power|meter|plug|energy/, { json: '{"power": 512.3}', python: '{"power": round(random.gauss(512.3, 20), 1)}' }],
  [/door|contact|window/, { json: '{"open": true}', python: '{"open": random.random() < 0.5}' }],
];

/** What a stream of this name would hold. */
function readingOf(stream: string): Reading {
  // A thermometer measures no power.
  return READINGS.find(([name]) => name.test(stream.toLowerCase().replace(/(thermo|baro|hygro)meter/g, "")))?.[1] ?? CLIMATE;
}

function mosquitto(connect: Connect, wish: Wish, port: number, isTls: boolean): string {
  const door = `-h ${shell(connect.mqtt.host)} -p ${port}${isTls ? " --cafile springhouse-ca.pem" : ""}`;
  return `mosquitto_pub ${door} -q 1 -u ${shell(wish.device)} -P ${shell(wish.token)} -t ${shell(topicOf(connect, wish))} -m ${shell(readingOf(wish.stream).json)}`;
}

function curl(connect: Connect, wish: Wish): string {
  const url = `${connect.http.url.replace(/\/$/, "")}/api/v1/devices/${encodeURIComponent(wish.device)}/streams/${wish.stream}`;
  return `curl -X POST ${shell(url)} -H ${shell(`Authorization: Bearer ${wish.token}`)} -H 'Content-Type: application/json' -d ${shell(readingOf(wish.stream).json)}`;
}

function python(connect: Connect, wish: Wish, port: number, isTls: boolean): string {
  const text = JSON.stringify;
  return [
    "# pip install paho-mqtt",
    "import json, random, time",
    "import paho.mqtt.client as mqtt",
    "",
    `client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=${text(wish.device)})`,
    `client.username_pw_set(${text(wish.device)}, ${text(wish.token)})`,
    ...(isTls ? ['client.tls_set("springhouse-ca.pem")'] : []),
    `client.connect(${text(connect.mqtt.host)}, ${port})`,
    "client.loop_start()",
    "while True:",
    `    reading = ${readingOf(wish.stream).python}`,
    `    client.publish(${text(topicOf(connect, wish))}, json.dumps(reading), qos=1).wait_for_publish()`,
    "    time.sleep(2)",
  ].join("\n");
}

/** Quoted for a POSIX shell, whatever the text holds. */
export function shell(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
