// Asks with the vendors' SDKs for Node and prints what they made of the answers.
//
//     node tests/sdks/node/client.mjs < ASKS
//
// It takes and prints what `tests/sdks/client.py` does: a JSON array of asks, each with a `way` (a
// name in WAYS), a `url` and a `model`, and one JSON object with `versions` and `heard`.  Besides:
//
// - an ask that `leaves` aborts once it has been handed the first thing;
// - `whole` is the text that a helper has put together, null without one;
// - `status`, `code` and `type` are those that an error of the SDK's has;
// - `unhandled`, beside `heard`, has the errors that no program could have caught.
//
// No client retries: what the gateway does to a request is seen once.

import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

import Anthropic, { AnthropicError } from "@anthropic-ai/sdk";
import { ApiError as GoogleError, GoogleGenAI } from "@google/genai";
import OpenAI, { OpenAIError } from "openai";

const TIMEOUT = 20_000; // milliseconds
// Asks at a time: most of the time they wait for a silent upstream.
const AT_ONCE = 24;

const KEY = "sk-not-a-real-key";
const MAX_TOKENS = 5;
const QUESTION = "What is it?";
const ASKED = [{ role: "user", content: QUESTION }];
const WITH_USAGE = { include_usage: true };

// What a way of asking has heard so far.
class Heard {
  texts = [];
  tokens = null;
  events = 0;
  whole = null;
  #controller = new AbortController();
  #leaves;

  constructor(leaves) {
    this.#leaves = leaves;
  }

  get signal() {
    return this.#controller.signal;
  }

  handed(...texts) {
    this.events += 1;
    this.texts.push(...texts);
    if (this.#leaves) this.#controller.abort();
  }
}

// OpenAI.

const openai = (url) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });

const chatAsked = (model) => ({ model, messages: ASKED, max_completion_tokens: MAX_TOKENS });

const chatStreamed = (model) => ({
  ...chatAsked(model),
  stream: true,
  stream_options: WITH_USAGE,
});

function promptUsage(heard, usage) {
  if (usage) heard.tokens = [usage.prompt_tokens, usage.completion_tokens];
}

function inputUsage(heard, usage) {
  if (usage) heard.tokens = [usage.input_tokens, usage.output_tokens];
}

function chatChunk(heard, chunk) {
  // Absent, though it is typed otherwise, where an event was none of the endpoint's own.
  heard.handed(...(chunk.choices ?? []).map((choice) => choice.delta.content ?? ""));
  promptUsage(heard, chunk.usage);
}

async function chat(url, model, heard) {
  const { signal } = heard;
  const answer = await openai(url).chat.completions.create(chatAsked(model), { signal });
  heard.texts.push(answer.choices[0].message.content);
  promptUsage(heard, answer.usage);
}

async function chat_raw(url, model, heard) {
  const { signal } = heard;
  const stream = await openai(url).chat.completions.create(chatStreamed(model), { signal });
  for await (const chunk of stream) chatChunk(heard, chunk);
}

// What a helper put together at the end counts, and not what it handed out.
async function chatWhole(heard, stream) {
  const whole = await stream.finalChatCompletion();
  heard.whole = whole.choices[0].message.content;
  heard.tokens = null;
  promptUsage(heard, whole.usage);
}

async function chat_helper(url, model, heard) {
  const { signal } = heard;
  const stream = openai(url).chat.completions.stream(chatStreamed(model), { signal });
  for await (const chunk of stream) chatChunk(heard, chunk);
  await chatWhole(heard, stream);
}

async function chat_helper_listened(url, model, heard) {
  const { signal } = heard;
  const stream = openai(url).chat.completions.stream(chatStreamed(model), { signal });
  stream.on("content", (delta) => heard.handed(delta));
  await chatWhole(heard, stream);
}

async function chat_helper_tools(url, model, heard) {
  const { signal } = heard;
  const tool = { name: "look", description: "look", parameters: {}, function: () => "nothing" };
  const tools = [{ type: "function", function: tool }];
  const asked = { ...chatStreamed(model), tools };
  const stream = openai(url).chat.completions.runTools(asked, { signal });
  for await (const chunk of stream) chatChunk(heard, chunk);
  await chatWhole(heard, stream);
}

async function completions_raw(url, model, heard) {
  const { signal } = heard;
  const asked = { model, prompt: QUESTION, stream: true, stream_options: WITH_USAGE };
  for await (const chunk of await openai(url).completions.create(asked, { signal })) {
    heard.handed(...(chunk.choices ?? []).map((choice) => choice.text));
    promptUsage(heard, chunk.usage);
  }
}

const responseAsked = (model) => ({ model, input: QUESTION, max_output_tokens: MAX_TOKENS });

function responseEvent(heard, event) {
  heard.handed(...(event.type === "response.output_text.delta" ? [event.delta] : []));
  inputUsage(heard, event.response?.usage);
}

async function responseWhole(heard, stream) {
  const whole = await stream.finalResponse();
  heard.whole = whole.output_text;
  heard.tokens = null;
  inputUsage(heard, whole.usage);
}

async function responses(url, model, heard) {
  const { signal } = heard;
  const answer = await openai(url).responses.create(responseAsked(model), { signal });
  heard.texts.push(answer.output_text);
  inputUsage(heard, answer.usage);
}

async function responses_raw(url, model, heard) {
  const { signal } = heard;
  const asked = { ...responseAsked(model), stream: true };
  const stream = await openai(url).responses.create(asked, { signal });
  for await (const event of stream) responseEvent(heard, event);
}

async function responses_helper(url, model, heard) {
  const { signal } = heard;
  const stream = openai(url).responses.stream(responseAsked(model), { signal });
  for await (const event of stream) responseEvent(heard, event);
  await responseWhole(heard, stream);
}

async function responses_helper_listened(url, model, heard) {
  const { signal } = heard;
  const stream = openai(url).responses.stream(responseAsked(model), { signal });
  stream.on("response.output_text.delta", (event) => heard.handed(event.delta));
  await responseWhole(heard, stream);
}

async function images_raw(url, model, heard) {
  const { signal } = heard;
  const asked = { model, prompt: QUESTION, stream: true, partial_images: 1 };
  for await (const event of await openai(url).images.generate(asked, { signal })) {
    heard.handed(event.b64_json ?? "");
    inputUsage(heard, event.usage);
  }
}

async function transcription_raw(url, model, heard) {
  const { signal } = heard;
  const asked = { model, file: new File(["RIFF"], "speech.wav"), stream: true };
  for await (const event of await openai(url).audio.transcriptions.create(asked, { signal })) {
    heard.handed(...(event.type === "transcript.text.delta" ? [event.delta] : []));
    inputUsage(heard, event.usage);
  }
}

// Anthropic.

const anthropic = (url) =>
  new Anthropic({ baseURL: url, apiKey: KEY, maxRetries: 0, timeout: TIMEOUT });

const messagesAsked = (model) => ({ model, messages: ASKED, max_tokens: MAX_TOKENS });

const wholeInput = (usage) =>
  usage.input_tokens +
  (usage.cache_read_input_tokens ?? 0) +
  (usage.cache_creation_input_tokens ?? 0);

const textOf = (message) =>
  message.content.map((block) => (block.type === "text" ? block.text : "")).join("");

// Adds up the events of a message: of the output's counts, the last one is the whole.
class MessageEvents {
  #heard;
  #input = 0;

  constructor(heard) {
    this.#heard = heard;
  }

  add(event) {
    const told = event.type === "content_block_delta" && event.delta.type === "text_delta";
    this.#heard.handed(...(told ? [event.delta.text] : []));
    if (event.type === "message_start") this.#input = wholeInput(event.message.usage);
    if (event.type === "message_delta") {
      this.#heard.tokens = [this.#input, event.usage.output_tokens];
    }
  }
}

async function messageWhole(heard, stream) {
  const message = await stream.finalMessage();
  heard.whole = textOf(message);
  heard.tokens = [wholeInput(message.usage), message.usage.output_tokens];
}

async function messages(url, model, heard) {
  const { signal } = heard;
  const message = await anthropic(url).messages.create(messagesAsked(model), { signal });
  heard.texts.push(textOf(message));
  heard.tokens = [wholeInput(message.usage), message.usage.output_tokens];
}

async function messages_raw(url, model, heard) {
  const { signal } = heard;
  const asked = { ...messagesAsked(model), stream: true };
  const events = new MessageEvents(heard);
  const stream = await anthropic(url).messages.create(asked, { signal });
  for await (const event of stream) events.add(event);
}

async function messages_helper(url, model, heard) {
  const { signal } = heard;
  const events = new MessageEvents(heard);
  const stream = anthropic(url).messages.stream(messagesAsked(model), { signal });
  for await (const event of stream) events.add(event);
  await messageWhole(heard, stream);
}

async function messages_helper_listened(url, model, heard) {
  const { signal } = heard;
  const stream = anthropic(url).messages.stream(messagesAsked(model), { signal });
  stream.on("text", (delta) => heard.handed(delta));
  await messageWhole(heard, stream);
}

async function messages_helper_tools(url, model, heard) {
  const { signal } = heard;
  const asked = { ...messagesAsked(model), stream: true, tools: [] };
  for await (const stream of anthropic(url).beta.messages.toolRunner(asked, { signal })) {
    const events = new MessageEvents(heard);
    for await (const event of stream) events.add(event);
    await messageWhole(heard, stream);
  }
}

// Google.

const google = (url) =>
  new GoogleGenAI({
    apiKey: KEY,
    httpOptions: { baseUrl: url, timeout: TIMEOUT, retryOptions: { attempts: 1 } },
  });

const geminiConfig = (heard) => ({ abortSignal: heard.signal, maxOutputTokens: MAX_TOKENS });

const geminiAsked = (model, heard) => ({
  model,
  contents: QUESTION,
  config: geminiConfig(heard),
});

function geminiUsage(heard, usage) {
  if (usage?.candidatesTokenCount !== undefined) {
    heard.tokens = [usage.promptTokenCount, usage.candidatesTokenCount];
  }
}

function geminiPart(heard, part) {
  heard.handed(part.text ?? "");
  geminiUsage(heard, part.usageMetadata);
}

async function gemini(url, model, heard) {
  const answer = await google(url).models.generateContent(geminiAsked(model, heard));
  heard.texts.push(answer.text);
  geminiUsage(heard, answer.usageMetadata);
}

async function gemini_raw(url, model, heard) {
  const stream = await google(url).models.generateContentStream(geminiAsked(model, heard));
  for await (const part of stream) geminiPart(heard, part);
}

// The helper is the conversation, which keeps what was said.
async function gemini_helper(url, model, heard) {
  const conversation = google(url).chats.create({ model, config: geminiConfig(heard) });
  const stream = await conversation.sendMessageStream({ message: QUESTION });
  for await (const part of stream) geminiPart(heard, part);
  const [, ...answers] = conversation.getHistory();
  heard.whole = answers.flatMap(({ parts }) => parts.map((part) => part.text ?? "")).join("");
}

const WAYS = Object.fromEntries(
  [
    chat,
    chat_raw,
    chat_helper,
    chat_helper_listened,
    chat_helper_tools,
    completions_raw,
    responses,
    responses_raw,
    responses_helper,
    responses_helper_listened,
    images_raw,
    transcription_raw,
    messages,
    messages_raw,
    messages_helper,
    messages_helper_listened,
    messages_helper_tools,
    gemini,
    gemini_raw,
    gemini_helper,
  ].map((way) => [way.name, way]),
);

const SDKS = { openai: "openai", anthropic: "@anthropic-ai/sdk", "google-genai": "@google/genai" };
const ERRORS = [OpenAIError, AnthropicError, GoogleError];

// Read as a file: a package need not let others import its package.json.
function version(name) {
  const url = new URL(`node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")).version;
}

// The names of an error's class and of its bases.
function kinds(error) {
  const found = [];
  for (let kind = error.constructor; kind.name; kind = Object.getPrototypeOf(kind)) {
    found.push(kind.name);
  }
  return found;
}

async function ask({ way, url, model, leaves }) {
  const heard = new Heard(leaves);
  let raised = null;
  try {
    await WAYS[way](url, model, heard);
  } catch (error) {
    raised = error;
  }
  return {
    texts: heard.texts,
    tokens: heard.tokens,
    events: heard.events,
    whole: heard.whole,
    raised: raised && kinds(raised),
    message: raised && raised.message,
    status: raised?.status ?? null,
    code: raised?.code ?? null,
    type: raised?.type ?? null,
    sdks_own: ERRORS.some((kind) => raised instanceof kind),
  };
}

// With the first of these Node would end a program.
const unhandled = [];
process.on("unhandledRejection", (error) => unhandled.push(String(error)));

const asks = JSON.parse(await text(process.stdin));
const heard = [];
const left = asks.entries();
async function askOnAndOn() {
  for (const [number, asked] of left) heard[number] = await ask(asked);
}
await Promise.all(Array.from({ length: AT_ONCE }, askOnAndOn));
const versions = Object.fromEntries(
  Object.entries(SDKS).map(([sdk, name]) => [sdk, version(name)]),
);
process.stdout.write(JSON.stringify({ versions, heard, unhandled }));
