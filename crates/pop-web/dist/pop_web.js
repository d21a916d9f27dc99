/**
 * All peer connections of a page.
 */
export class Peers {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        PeersFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_peers_free(ptr, 0);
    }
    /**
     * Close everything.
     */
    close() {
        wasm.peers_close(this.__wbg_ptr);
    }
    /**
     * Carry out what the worker asks: `dial`, `closeLink` or `rtc`.
     * @param {any} message
     */
    handle(message) {
        wasm.peers_handle(this.__wbg_ptr, message);
    }
    /**
     * No connections yet. `ice_servers` is a list as `RTCPeerConnection` takes it; `tell` is
     * called with what the worker is to know, `prepare` with each connection to another viewer
     * before it is described and whether it offers.
     * @param {any} ice_servers
     * @param {Function} tell
     * @param {Function} prepare
     */
    constructor(ice_servers, tell, prepare) {
        const ret = wasm.peers_new(ice_servers, tell, prepare);
        this.__wbg_ptr = ret >>> 0;
        PeersFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
}
if (Symbol.dispose) Peers.prototype[Symbol.dispose] = Peers.prototype.free;

/**
 * The engine with its links. The page makes one for each worker, and calls nothing of it from
 * within the function that it gave.
 */
export class Shell {
    __destroy_into_raw() {
        const ptr = this.__wbg_ptr;
        this.__wbg_ptr = 0;
        ShellFinalization.unregister(this);
        return ptr;
    }
    free() {
        const ptr = this.__destroy_into_raw();
        wasm.__wbg_shell_free(ptr, 0);
    }
    /**
     * The certificates at both ends of the connection to a masternode: SHA-256 each.
     * @param {number} link
     * @param {Uint8Array} offerer
     * @param {Uint8Array} answerer
     */
    bind(link, offerer, answerer) {
        const ptr0 = passArray8ToWasm0(offerer, wasm.__wbindgen_malloc);
        const len0 = WASM_VECTOR_LEN;
        const ptr1 = passArray8ToWasm0(answerer, wasm.__wbindgen_malloc);
        const len1 = WASM_VECTOR_LEN;
        wasm.shell_bind(this.__wbg_ptr, link, ptr0, len0, ptr1, len1);
    }
    /**
     * A segment out of the cache; `undefined` if it is gone.
     * @param {number} token
     * @param {Uint8Array | null} [bytes]
     */
    cacheLoaded(token, bytes) {
        var ptr0 = isLikeNone(bytes) ? 0 : passArray8ToWasm0(bytes, wasm.__wbindgen_malloc);
        var len0 = WASM_VECTOR_LEN;
        wasm.shell_cacheLoaded(this.__wbg_ptr, token, ptr0, len0);
    }
    /**
     * A segment is in the cache, or is not.
     * @param {number} token
     * @param {boolean} is_stored
     */
    cacheStored(token, is_stored) {
        wasm.shell_cacheStored(this.__wbg_ptr, token, is_stored);
    }
    /**
     * A data channel, still closed, for a link.
     * @param {number} link
     * @param {any} channel
     */
    channel(link, channel) {
        wasm.shell_channel(this.__wbg_ptr, link, channel);
    }
    /**
     * Let go of a content.
     * @param {number} film
     */
    close(film) {
        wasm.shell_close(this.__wbg_ptr, film);
    }
    /**
     * Put so many POP, as a decimal number, into the vault.
     * @param {string} amount
     */
    deposit(amount) {
        const ptr0 = passStringToWasm0(amount, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        const ret = wasm.shell_deposit(this.__wbg_ptr, ptr0, len0);
        if (ret[1]) {
            throw takeFromExternrefTable0(ret[0]);
        }
    }
    /**
     * A look at the engine.
     * @returns {any}
     */
    engineStats() {
        const ret = wasm.shell_engineStats(this.__wbg_ptr);
        return ret;
    }
    /**
     * A look at a film; `undefined` if it is not open.
     * @param {number} film
     * @returns {any}
     */
    filmStats(film) {
        const ret = wasm.shell_filmStats(this.__wbg_ptr, film);
        return ret;
    }
    /**
     * A link that the window was to make failed.
     * @param {number} link
     */
    linkDown(link) {
        wasm.shell_linkDown(this.__wbg_ptr, link);
    }
    /**
     * Ask the ledger what the wallet has.
     */
    lookAtWallet() {
        wasm.shell_lookAtWallet(this.__wbg_ptr);
    }
    /**
     * The other end of a channel takes messages of so many bytes.
     * @param {number} link
     * @param {number} bytes
     */
    messageBytesMax(link, bytes) {
        wasm.shell_messageBytesMax(this.__wbg_ptr, link, bytes);
    }
    /**
     * Start. `options` are the engine's settings; `tell` is called with what the page is to do.
     * @param {any} options
     * @param {Function} tell
     */
    constructor(options, tell) {
        const ret = wasm.shell_new(options, tell);
        if (ret[2]) {
            throw takeFromExternrefTable0(ret[1]);
        }
        this.__wbg_ptr = ret[0] >>> 0;
        ShellFinalization.register(this, this.__wbg_ptr, this);
        return this;
    }
    /**
     * Whether the browser is online.
     * @param {boolean} is_online
     */
    online(is_online) {
        wasm.shell_online(this.__wbg_ptr, is_online);
    }
    /**
     * Open a content.
     * @param {number} film
     * @param {string} link
     */
    open(film, link) {
        const ptr0 = passStringToWasm0(link, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.shell_open(this.__wbg_ptr, film, ptr0, len0);
    }
    /**
     * A record about money is safe, or is not.
     * @param {number} token
     * @param {boolean} is_safe
     */
    persisted(token, is_safe) {
        wasm.shell_persisted(this.__wbg_ptr, token, is_safe);
    }
    /**
     * Where playback is, and how fast.
     * @param {number} film
     * @param {number} position_bytes
     * @param {number} bytes_per_second
     * @param {boolean} is_waiting
     */
    play(film, position_bytes, bytes_per_second, is_waiting) {
        wasm.shell_play(this.__wbg_ptr, film, position_bytes, bytes_per_second, is_waiting);
    }
    /**
     * Allow so many bytes more of a read.
     * @param {number} read
     * @param {number} bytes
     */
    pull(read, bytes) {
        wasm.shell_pull(this.__wbg_ptr, read, bytes);
    }
    /**
     * Read bytes from `start` to before `end`.
     * @param {number} read
     * @param {number} film
     * @param {number} start
     * @param {number} end
     */
    read(read, film, start, end) {
        wasm.shell_read(this.__wbg_ptr, read, film, start, end);
    }
    /**
     * Cash in what was earned.
     */
    redeem() {
        wasm.shell_redeem(this.__wbg_ptr);
    }
    /**
     * A connection to a viewer has a candidate.
     * @param {number} rtc
     * @param {string} candidate
     * @param {string | null} [sdp_mid]
     * @param {number | null} [sdp_m_line_index]
     */
    rtcCandidate(rtc, candidate, sdp_mid, sdp_m_line_index) {
        const ptr0 = passStringToWasm0(candidate, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        var ptr1 = isLikeNone(sdp_mid) ? 0 : passStringToWasm0(sdp_mid, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        var len1 = WASM_VECTOR_LEN;
        wasm.shell_rtcCandidate(this.__wbg_ptr, rtc, ptr0, len0, ptr1, len1, isLikeNone(sdp_m_line_index) ? 0xFFFFFF : sdp_m_line_index);
    }
    /**
     * A connection to a viewer has no further candidates.
     * @param {number} rtc
     */
    rtcCandidatesDone(rtc) {
        wasm.shell_rtcCandidatesDone(this.__wbg_ptr, rtc);
    }
    /**
     * A connection to a viewer has a local description.
     * @param {number} rtc
     * @param {string} sdp
     */
    rtcDescription(rtc, sdp) {
        const ptr0 = passStringToWasm0(sdp, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
        const len0 = WASM_VECTOR_LEN;
        wasm.shell_rtcDescription(this.__wbg_ptr, rtc, ptr0, len0);
    }
    /**
     * A connection to a viewer failed.
     * @param {number} rtc
     */
    rtcDown(rtc) {
        wasm.shell_rtcDown(this.__wbg_ptr, rtc);
    }
    /**
     * End a read.
     * @param {number} read
     */
    stop(read) {
        wasm.shell_stop(this.__wbg_ptr, read);
    }
    /**
     * Consent to re-streaming: `{ on, bytesPerSecondMax, bytesMax }`.
     * @param {any} limits
     */
    upload(limits) {
        wasm.shell_upload(this.__wbg_ptr, limits);
    }
    /**
     * The viewer's wallet address.
     * @returns {string}
     */
    get wallet() {
        let deferred1_0;
        let deferred1_1;
        try {
            const ret = wasm.shell_wallet(this.__wbg_ptr);
            deferred1_0 = ret[0];
            deferred1_1 = ret[1];
            return getStringFromWasm0(ret[0], ret[1]);
        } finally {
            wasm.__wbindgen_free(deferred1_0, deferred1_1, 1);
        }
    }
}
if (Symbol.dispose) Shell.prototype[Symbol.dispose] = Shell.prototype.free;

function __wbg_get_imports() {
    const import0 = {
        __proto__: null,
        __wbg_Error_8c4e43fe74559d73: function(arg0, arg1) {
            const ret = Error(getStringFromWasm0(arg0, arg1));
            return ret;
        },
        __wbg___wbindgen_is_falsy_e623e5b815413d00: function(arg0) {
            const ret = !arg0;
            return ret;
        },
        __wbg___wbindgen_is_function_0095a73b8b156f76: function(arg0) {
            const ret = typeof(arg0) === 'function';
            return ret;
        },
        __wbg___wbindgen_is_undefined_9e4d92534c42d778: function(arg0) {
            const ret = arg0 === undefined;
            return ret;
        },
        __wbg___wbindgen_number_get_8ff4255516ccad3e: function(arg0, arg1) {
            const obj = arg1;
            const ret = typeof(obj) === 'number' ? obj : undefined;
            getDataViewMemory0().setFloat64(arg0 + 8 * 1, isLikeNone(ret) ? 0 : ret, true);
            getDataViewMemory0().setInt32(arg0 + 4 * 0, !isLikeNone(ret), true);
        },
        __wbg___wbindgen_string_get_72fb696202c56729: function(arg0, arg1) {
            const obj = arg1;
            const ret = typeof(obj) === 'string' ? obj : undefined;
            var ptr1 = isLikeNone(ret) ? 0 : passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            var len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32(arg0 + 4 * 1, len1, true);
            getDataViewMemory0().setInt32(arg0 + 4 * 0, ptr1, true);
        },
        __wbg___wbindgen_throw_be289d5034ed271b: function(arg0, arg1) {
            throw new Error(getStringFromWasm0(arg0, arg1));
        },
        __wbg__wbg_cb_unref_d9b87ff7982e3b21: function(arg0) {
            arg0._wbg_cb_unref();
        },
        __wbg_addIceCandidate_123d7292fa766eff: function(arg0, arg1) {
            const ret = arg0.addIceCandidate(arg1);
            return ret;
        },
        __wbg_bufferedAmount_13272903ab9315ea: function(arg0) {
            const ret = arg0.bufferedAmount;
            return ret;
        },
        __wbg_call_389efe28435a9388: function() { return handleError(function (arg0, arg1) {
            const ret = arg0.call(arg1);
            return ret;
        }, arguments); },
        __wbg_call_4708e0c13bdc8e95: function() { return handleError(function (arg0, arg1, arg2) {
            const ret = arg0.call(arg1, arg2);
            return ret;
        }, arguments); },
        __wbg_call_812d25f1510c13c8: function() { return handleError(function (arg0, arg1, arg2, arg3) {
            const ret = arg0.call(arg1, arg2, arg3);
            return ret;
        }, arguments); },
        __wbg_candidate_7236a1dc099e2ab0: function(arg0, arg1) {
            const ret = arg1.candidate;
            const ptr1 = passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32(arg0 + 4 * 1, len1, true);
            getDataViewMemory0().setInt32(arg0 + 4 * 0, ptr1, true);
        },
        __wbg_candidate_e034be3d85919c5f: function(arg0) {
            const ret = arg0.candidate;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_close_bceaa446229645df: function() { return handleError(function (arg0) {
            arg0.close();
        }, arguments); },
        __wbg_close_f9ba12c30bbb456f: function(arg0) {
            arg0.close();
        },
        __wbg_connectionState_552a7ef94243f9da: function(arg0) {
            const ret = arg0.connectionState;
            return (__wbindgen_enum_RtcPeerConnectionState.indexOf(ret) + 1 || 7) - 1;
        },
        __wbg_createAnswer_a81a236697720f26: function(arg0) {
            const ret = arg0.createAnswer();
            return ret;
        },
        __wbg_createDataChannel_1175bbde394c8293: function(arg0, arg1, arg2, arg3) {
            const ret = arg0.createDataChannel(getStringFromWasm0(arg1, arg2), arg3);
            return ret;
        },
        __wbg_createOffer_ad84508938485425: function(arg0) {
            const ret = arg0.createOffer();
            return ret;
        },
        __wbg_get_9b94d73e6221f75c: function(arg0, arg1) {
            const ret = arg0[arg1 >>> 0];
            return ret;
        },
        __wbg_get_b3ed3ad4be2bc8ac: function() { return handleError(function (arg0, arg1) {
            const ret = Reflect.get(arg0, arg1);
            return ret;
        }, arguments); },
        __wbg_instanceof_ArrayBuffer_c367199e2fa2aa04: function(arg0) {
            let result;
            try {
                result = arg0 instanceof ArrayBuffer;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;
        },
        __wbg_instanceof_Uint8Array_9b9075935c74707c: function(arg0) {
            let result;
            try {
                result = arg0 instanceof Uint8Array;
            } catch (_) {
                result = false;
            }
            const ret = result;
            return ret;
        },
        __wbg_isArray_d314bb98fcf08331: function(arg0) {
            const ret = Array.isArray(arg0);
            return ret;
        },
        __wbg_length_32ed9a279acd054c: function(arg0) {
            const ret = arg0.length;
            return ret;
        },
        __wbg_length_35a7bace40f36eac: function(arg0) {
            const ret = arg0.length;
            return ret;
        },
        __wbg_localDescription_d1502c826999ccd4: function(arg0) {
            const ret = arg0.localDescription;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_new_361308b2356cecd0: function() {
            const ret = new Object();
            return ret;
        },
        __wbg_new_3eb36ae241fe6f44: function() {
            const ret = new Array();
            return ret;
        },
        __wbg_new_7263ed1bd1ebbdf7: function() { return handleError(function (arg0, arg1) {
            const ret = new WebSocket(getStringFromWasm0(arg0, arg1));
            return ret;
        }, arguments); },
        __wbg_new_dd2b680c8bf6ae29: function(arg0) {
            const ret = new Uint8Array(arg0);
            return ret;
        },
        __wbg_new_from_slice_a3d2629dc1826784: function(arg0, arg1) {
            const ret = new Uint8Array(getArrayU8FromWasm0(arg0, arg1));
            return ret;
        },
        __wbg_new_no_args_1c7c842f08d00ebb: function(arg0, arg1) {
            const ret = new Function(getStringFromWasm0(arg0, arg1));
            return ret;
        },
        __wbg_new_with_configuration_114cc8dc0d3b6519: function() { return handleError(function (arg0) {
            const ret = new RTCPeerConnection(arg0);
            return ret;
        }, arguments); },
        __wbg_now_a3af9a2f4bbaa4d1: function() {
            const ret = Date.now();
            return ret;
        },
        __wbg_now_fc855c76827e15b9: function() {
            const ret = performance.now();
            return ret;
        },
        __wbg_prototypesetcall_bdcdcc5842e4d77d: function(arg0, arg1, arg2) {
            Uint8Array.prototype.set.call(getArrayU8FromWasm0(arg0, arg1), arg2);
        },
        __wbg_push_8ffdcb2063340ba5: function(arg0, arg1) {
            const ret = arg0.push(arg1);
            return ret;
        },
        __wbg_queueMicrotask_0aa0a927f78f5d98: function(arg0) {
            const ret = arg0.queueMicrotask;
            return ret;
        },
        __wbg_queueMicrotask_5bb536982f78a56f: function(arg0) {
            queueMicrotask(arg0);
        },
        __wbg_resolve_002c4b7d9d8f6b64: function(arg0) {
            const ret = Promise.resolve(arg0);
            return ret;
        },
        __wbg_sdpMLineIndex_f2a1b8e4cf8f118d: function(arg0) {
            const ret = arg0.sdpMLineIndex;
            return isLikeNone(ret) ? 0xFFFFFF : ret;
        },
        __wbg_sdpMid_553ea50c7d1334e1: function(arg0, arg1) {
            const ret = arg1.sdpMid;
            var ptr1 = isLikeNone(ret) ? 0 : passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            var len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32(arg0 + 4 * 1, len1, true);
            getDataViewMemory0().setInt32(arg0 + 4 * 0, ptr1, true);
        },
        __wbg_sdp_d49b2809185ccae2: function(arg0, arg1) {
            const ret = arg1.sdp;
            const ptr1 = passStringToWasm0(ret, wasm.__wbindgen_malloc, wasm.__wbindgen_realloc);
            const len1 = WASM_VECTOR_LEN;
            getDataViewMemory0().setInt32(arg0 + 4 * 1, len1, true);
            getDataViewMemory0().setInt32(arg0 + 4 * 0, ptr1, true);
        },
        __wbg_send_0c91f32dc905cd66: function() { return handleError(function (arg0, arg1, arg2) {
            arg0.send(getArrayU8FromWasm0(arg1, arg2));
        }, arguments); },
        __wbg_setLocalDescription_286acbf723f59b5c: function(arg0, arg1) {
            const ret = arg0.setLocalDescription(arg1);
            return ret;
        },
        __wbg_setRemoteDescription_225bc4358168e1f0: function(arg0, arg1) {
            const ret = arg0.setRemoteDescription(arg1);
            return ret;
        },
        __wbg_setTimeout_38d7b4daedf48f8c: function(arg0, arg1) {
            const ret = setTimeout(arg0, arg1);
            return ret;
        },
        __wbg_set_6cb8631f80447a67: function() { return handleError(function (arg0, arg1, arg2) {
            const ret = Reflect.set(arg0, arg1, arg2);
            return ret;
        }, arguments); },
        __wbg_set_binaryType_f6d60ad34c0fc09f: function(arg0, arg1, arg2) {
            arg0.binaryType = getStringFromWasm0(arg1, arg2);
        },
        __wbg_set_bufferedAmountLowThreshold_5dc5ddd731018bfb: function(arg0, arg1) {
            arg0.bufferedAmountLowThreshold = arg1 >>> 0;
        },
        __wbg_set_candidate_2727cda2fc3c42c0: function(arg0, arg1, arg2) {
            arg0.candidate = getStringFromWasm0(arg1, arg2);
        },
        __wbg_set_ice_servers_2fbbe72dcc5bb69a: function(arg0, arg1) {
            arg0.iceServers = arg1;
        },
        __wbg_set_id_541c66ff3ff08d76: function(arg0, arg1) {
            arg0.id = arg1;
        },
        __wbg_set_negotiated_8a48a71eb810cad0: function(arg0, arg1) {
            arg0.negotiated = arg1 !== 0;
        },
        __wbg_set_onbufferedamountlow_316fab07abfe986e: function(arg0, arg1) {
            arg0.onbufferedamountlow = arg1;
        },
        __wbg_set_onclose_bc39c31666f2aeca: function(arg0, arg1) {
            arg0.onclose = arg1;
        },
        __wbg_set_onconnectionstatechange_662fb34d742b54af: function(arg0, arg1) {
            arg0.onconnectionstatechange = arg1;
        },
        __wbg_set_onerror_8c865cdff57c7696: function(arg0, arg1) {
            arg0.onerror = arg1;
        },
        __wbg_set_onicecandidate_d7f0eeb668892055: function(arg0, arg1) {
            arg0.onicecandidate = arg1;
        },
        __wbg_set_onmessage_e368e11faf13915f: function(arg0, arg1) {
            arg0.onmessage = arg1;
        },
        __wbg_set_onopen_21ba296fc06aa0bb: function(arg0, arg1) {
            arg0.onopen = arg1;
        },
        __wbg_set_sdp_50fb460598980761: function(arg0, arg1, arg2) {
            arg0.sdp = getStringFromWasm0(arg1, arg2);
        },
        __wbg_set_sdp_m_line_index_26c262b33b01dafa: function(arg0, arg1) {
            arg0.sdpMLineIndex = arg1 === 0xFFFFFF ? undefined : arg1;
        },
        __wbg_set_sdp_mid_84aa9072175076b4: function(arg0, arg1, arg2) {
            arg0.sdpMid = arg1 === 0 ? undefined : getStringFromWasm0(arg1, arg2);
        },
        __wbg_set_type_76aecafd1e278305: function(arg0, arg1) {
            arg0.type = __wbindgen_enum_RtcSdpType[arg1];
        },
        __wbg_static_accessor_GLOBAL_12837167ad935116: function() {
            const ret = typeof global === 'undefined' ? null : global;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_static_accessor_GLOBAL_THIS_e628e89ab3b1c95f: function() {
            const ret = typeof globalThis === 'undefined' ? null : globalThis;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_static_accessor_SELF_a621d3dfbb60d0ce: function() {
            const ret = typeof self === 'undefined' ? null : self;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_static_accessor_WINDOW_f8727f0cf888e0bd: function() {
            const ret = typeof window === 'undefined' ? null : window;
            return isLikeNone(ret) ? 0 : addToExternrefTable0(ret);
        },
        __wbg_then_0d9fe2c7b1857d32: function(arg0, arg1, arg2) {
            const ret = arg0.then(arg1, arg2);
            return ret;
        },
        __wbg_then_b9e7b3b5f1a9e1b5: function(arg0, arg1) {
            const ret = arg0.then(arg1);
            return ret;
        },
        __wbindgen_cast_0000000000000001: function(arg0, arg1) {
            // Cast intrinsic for `Closure(Closure { dtor_idx: 9, function: Function { arguments: [NamedExternref("RTCPeerConnectionIceEvent")], shim_idx: 15, ret: Unit, inner_ret: Some(Unit) }, mutable: true }) -> Externref`.
            const ret = makeMutClosure(arg0, arg1, wasm.wasm_bindgen_750665f9723a7228___closure__destroy___dyn_core_7671f4d5bb42fac5___ops__function__FnMut__web_sys_653f2374e56b5a51___features__gen_RtcPeerConnectionIceEvent__RtcPeerConnectionIceEvent____Output_______, wasm_bindgen_750665f9723a7228___convert__closures_____invoke___web_sys_653f2374e56b5a51___features__gen_RtcPeerConnectionIceEvent__RtcPeerConnectionIceEvent_____);
            return ret;
        },
        __wbindgen_cast_0000000000000002: function(arg0, arg1) {
            // Cast intrinsic for `Closure(Closure { dtor_idx: 9, function: Function { arguments: [], shim_idx: 16, ret: Unit, inner_ret: Some(Unit) }, mutable: true }) -> Externref`.
            const ret = makeMutClosure(arg0, arg1, wasm.wasm_bindgen_750665f9723a7228___closure__destroy___dyn_core_7671f4d5bb42fac5___ops__function__FnMut__web_sys_653f2374e56b5a51___features__gen_RtcPeerConnectionIceEvent__RtcPeerConnectionIceEvent____Output_______, wasm_bindgen_750665f9723a7228___convert__closures_____invoke______);
            return ret;
        },
        __wbindgen_cast_0000000000000003: function(arg0, arg1) {
            // Cast intrinsic for `Closure(Closure { dtor_idx: 99, function: Function { arguments: [Externref], shim_idx: 100, ret: Unit, inner_ret: Some(Unit) }, mutable: true }) -> Externref`.
            const ret = makeMutClosure(arg0, arg1, wasm.wasm_bindgen_750665f9723a7228___closure__destroy___dyn_core_7671f4d5bb42fac5___ops__function__FnMut__wasm_bindgen_750665f9723a7228___JsValue____Output_______, wasm_bindgen_750665f9723a7228___convert__closures_____invoke___wasm_bindgen_750665f9723a7228___JsValue_____);
            return ret;
        },
        __wbindgen_cast_0000000000000004: function(arg0) {
            // Cast intrinsic for `F64 -> Externref`.
            const ret = arg0;
            return ret;
        },
        __wbindgen_cast_0000000000000005: function(arg0, arg1) {
            // Cast intrinsic for `Ref(String) -> Externref`.
            const ret = getStringFromWasm0(arg0, arg1);
            return ret;
        },
        __wbindgen_init_externref_table: function() {
            const table = wasm.__wbindgen_externrefs;
            const offset = table.grow(4);
            table.set(0, undefined);
            table.set(offset + 0, undefined);
            table.set(offset + 1, null);
            table.set(offset + 2, true);
            table.set(offset + 3, false);
        },
    };
    return {
        __proto__: null,
        "./pop_web_bg.js": import0,
    };
}

function wasm_bindgen_750665f9723a7228___convert__closures_____invoke______(arg0, arg1) {
    wasm.wasm_bindgen_750665f9723a7228___convert__closures_____invoke______(arg0, arg1);
}

function wasm_bindgen_750665f9723a7228___convert__closures_____invoke___web_sys_653f2374e56b5a51___features__gen_RtcPeerConnectionIceEvent__RtcPeerConnectionIceEvent_____(arg0, arg1, arg2) {
    wasm.wasm_bindgen_750665f9723a7228___convert__closures_____invoke___web_sys_653f2374e56b5a51___features__gen_RtcPeerConnectionIceEvent__RtcPeerConnectionIceEvent_____(arg0, arg1, arg2);
}

function wasm_bindgen_750665f9723a7228___convert__closures_____invoke___wasm_bindgen_750665f9723a7228___JsValue_____(arg0, arg1, arg2) {
    wasm.wasm_bindgen_750665f9723a7228___convert__closures_____invoke___wasm_bindgen_750665f9723a7228___JsValue_____(arg0, arg1, arg2);
}


const __wbindgen_enum_RtcPeerConnectionState = ["closed", "failed", "disconnected", "new", "connecting", "connected"];


const __wbindgen_enum_RtcSdpType = ["offer", "pranswer", "answer", "rollback"];
const PeersFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_peers_free(ptr >>> 0, 1));
const ShellFinalization = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(ptr => wasm.__wbg_shell_free(ptr >>> 0, 1));

function addToExternrefTable0(obj) {
    const idx = wasm.__externref_table_alloc();
    wasm.__wbindgen_externrefs.set(idx, obj);
    return idx;
}

const CLOSURE_DTORS = (typeof FinalizationRegistry === 'undefined')
    ? { register: () => {}, unregister: () => {} }
    : new FinalizationRegistry(state => state.dtor(state.a, state.b));

function getArrayU8FromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return getUint8ArrayMemory0().subarray(ptr / 1, ptr / 1 + len);
}

let cachedDataViewMemory0 = null;
function getDataViewMemory0() {
    if (cachedDataViewMemory0 === null || cachedDataViewMemory0.buffer.detached === true || (cachedDataViewMemory0.buffer.detached === undefined && cachedDataViewMemory0.buffer !== wasm.memory.buffer)) {
        cachedDataViewMemory0 = new DataView(wasm.memory.buffer);
    }
    return cachedDataViewMemory0;
}

function getStringFromWasm0(ptr, len) {
    ptr = ptr >>> 0;
    return decodeText(ptr, len);
}

let cachedUint8ArrayMemory0 = null;
function getUint8ArrayMemory0() {
    if (cachedUint8ArrayMemory0 === null || cachedUint8ArrayMemory0.byteLength === 0) {
        cachedUint8ArrayMemory0 = new Uint8Array(wasm.memory.buffer);
    }
    return cachedUint8ArrayMemory0;
}

function handleError(f, args) {
    try {
        return f.apply(this, args);
    } catch (e) {
        const idx = addToExternrefTable0(e);
        wasm.__wbindgen_exn_store(idx);
    }
}

function isLikeNone(x) {
    return x === undefined || x === null;
}

function makeMutClosure(arg0, arg1, dtor, f) {
    const state = { a: arg0, b: arg1, cnt: 1, dtor };
    const real = (...args) => {

        // First up with a closure we increment the internal reference
        // count. This ensures that the Rust closure environment won't
        // be deallocated while we're invoking it.
        state.cnt++;
        const a = state.a;
        state.a = 0;
        try {
            return f(a, state.b, ...args);
        } finally {
            state.a = a;
            real._wbg_cb_unref();
        }
    };
    real._wbg_cb_unref = () => {
        if (--state.cnt === 0) {
            state.dtor(state.a, state.b);
            state.a = 0;
            CLOSURE_DTORS.unregister(state);
        }
    };
    CLOSURE_DTORS.register(real, state, state);
    return real;
}

function passArray8ToWasm0(arg, malloc) {
    const ptr = malloc(arg.length * 1, 1) >>> 0;
    getUint8ArrayMemory0().set(arg, ptr / 1);
    WASM_VECTOR_LEN = arg.length;
    return ptr;
}

function passStringToWasm0(arg, malloc, realloc) {
    if (realloc === undefined) {
        const buf = cachedTextEncoder.encode(arg);
        const ptr = malloc(buf.length, 1) >>> 0;
        getUint8ArrayMemory0().subarray(ptr, ptr + buf.length).set(buf);
        WASM_VECTOR_LEN = buf.length;
        return ptr;
    }

    let len = arg.length;
    let ptr = malloc(len, 1) >>> 0;

    const mem = getUint8ArrayMemory0();

    let offset = 0;

    for (; offset < len; offset++) {
        const code = arg.charCodeAt(offset);
        if (code > 0x7F) break;
        mem[ptr + offset] = code;
    }
    if (offset !== len) {
        if (offset !== 0) {
            arg = arg.slice(offset);
        }
        ptr = realloc(ptr, len, len = offset + arg.length * 3, 1) >>> 0;
        const view = getUint8ArrayMemory0().subarray(ptr + offset, ptr + len);
        const ret = cachedTextEncoder.encodeInto(arg, view);

        offset += ret.written;
        ptr = realloc(ptr, len, offset, 1) >>> 0;
    }

    WASM_VECTOR_LEN = offset;
    return ptr;
}

function takeFromExternrefTable0(idx) {
    const value = wasm.__wbindgen_externrefs.get(idx);
    wasm.__externref_table_dealloc(idx);
    return value;
}

let cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
cachedTextDecoder.decode();
const MAX_SAFARI_DECODE_BYTES = 2146435072;
let numBytesDecoded = 0;
function decodeText(ptr, len) {
    numBytesDecoded += len;
    if (numBytesDecoded >= MAX_SAFARI_DECODE_BYTES) {
        cachedTextDecoder = new TextDecoder('utf-8', { ignoreBOM: true, fatal: true });
        cachedTextDecoder.decode();
        numBytesDecoded = len;
    }
    return cachedTextDecoder.decode(getUint8ArrayMemory0().subarray(ptr, ptr + len));
}

const cachedTextEncoder = new TextEncoder();

if (!('encodeInto' in cachedTextEncoder)) {
    cachedTextEncoder.encodeInto = function (arg, view) {
        const buf = cachedTextEncoder.encode(arg);
        view.set(buf);
        return {
            read: arg.length,
            written: buf.length
        };
    };
}

let WASM_VECTOR_LEN = 0;

let wasmModule, wasm;
function __wbg_finalize_init(instance, module) {
    wasm = instance.exports;
    wasmModule = module;
    cachedDataViewMemory0 = null;
    cachedUint8ArrayMemory0 = null;
    wasm.__wbindgen_start();
    return wasm;
}

async function __wbg_load(module, imports) {
    if (typeof Response === 'function' && module instanceof Response) {
        if (typeof WebAssembly.instantiateStreaming === 'function') {
            try {
                return await WebAssembly.instantiateStreaming(module, imports);
            } catch (e) {
                const validResponse = module.ok && expectedResponseType(module.type);

                if (validResponse && module.headers.get('Content-Type') !== 'application/wasm') {
                    console.warn("`WebAssembly.instantiateStreaming` failed because your server does not serve Wasm with `application/wasm` MIME type. Falling back to `WebAssembly.instantiate` which is slower. Original error:\n", e);

                } else { throw e; }
            }
        }

        const bytes = await module.arrayBuffer();
        return await WebAssembly.instantiate(bytes, imports);
    } else {
        const instance = await WebAssembly.instantiate(module, imports);

        if (instance instanceof WebAssembly.Instance) {
            return { instance, module };
        } else {
            return instance;
        }
    }

    function expectedResponseType(type) {
        switch (type) {
            case 'basic': case 'cors': case 'default': return true;
        }
        return false;
    }
}

function initSync(module) {
    if (wasm !== undefined) return wasm;


    if (module !== undefined) {
        if (Object.getPrototypeOf(module) === Object.prototype) {
            ({module} = module)
        } else {
            console.warn('using deprecated parameters for `initSync()`; pass a single object instead')
        }
    }

    const imports = __wbg_get_imports();
    if (!(module instanceof WebAssembly.Module)) {
        module = new WebAssembly.Module(module);
    }
    const instance = new WebAssembly.Instance(module, imports);
    return __wbg_finalize_init(instance, module);
}

async function __wbg_init(module_or_path) {
    if (wasm !== undefined) return wasm;


    if (module_or_path !== undefined) {
        if (Object.getPrototypeOf(module_or_path) === Object.prototype) {
            ({module_or_path} = module_or_path)
        } else {
            console.warn('using deprecated parameters for the initialization function; pass a single object instead')
        }
    }


    const imports = __wbg_get_imports();

    if (typeof module_or_path === 'string' || (typeof Request === 'function' && module_or_path instanceof Request) || (typeof URL === 'function' && module_or_path instanceof URL)) {
        module_or_path = fetch(module_or_path);
    }

    const { instance, module } = await __wbg_load(await module_or_path, imports);

    return __wbg_finalize_init(instance, module);
}

export { initSync, __wbg_init as default };
