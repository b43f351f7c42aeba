import { MemoryChunkStore } from "../../src/cache/memory-store.ts";
import { describeChunkStoreContract } from "../helpers/chunk-store-contract.ts";

describeChunkStoreContract("MemoryChunkStore", async () => ({ store: new MemoryChunkStore(), close: async () => {} }));
