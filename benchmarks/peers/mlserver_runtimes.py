"""Runtimes for mlserver, as short as an engineer would write them; run in mlserver's own environment."""

from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Onnx(MLModel):
    """An ONNX model on the CPU, one thread."""

    async def load(self) -> bool:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        path = self.settings.parameters.uri
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        feed = {tensor.name: self.decode(tensor, default_codec=NumpyCodec) for tensor in payload.inputs}
        arrays = self._session.run(self._outputs, feed)
        outputs = [NumpyCodec.encode_output(name, array) for name, array in zip(self._outputs, arrays, strict=True)]
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=outputs)


class LiteRt(MLModel):
    """A TFLite model with one input and one output on XNNPACK, one thread."""

    async def load(self) -> bool:
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_path=self.settings.parameters.uri, num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        self._interpreter.set_tensor(self._input, self.decode(payload.inputs[0], default_codec=NumpyCodec))
        self._interpreter.invoke()
        array = self._interpreter.get_tensor(self._output["index"])
        output = NumpyCodec.encode_output(self._output["name"], array)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
