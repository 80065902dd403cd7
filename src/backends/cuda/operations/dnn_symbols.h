/* The functions of cuDNN that Tarn calls, which all answer a status: DNN_SYMBOL(name, parameters). The only place that knows their names. */
DNN_SYMBOL(cudnnCreate, (dnn_handle * out_handle))
DNN_SYMBOL(cudnnDestroy, (dnn_handle handle))
DNN_SYMBOL(cudnnSetStream, (dnn_handle handle, driver_stream stream))
DNN_SYMBOL(cudnnCreateTensorDescriptor, (dnn_tensor * out_tensor))
DNN_SYMBOL(cudnnDestroyTensorDescriptor, (dnn_tensor tensor))
DNN_SYMBOL(cudnnSetTensor4dDescriptorEx,
           (dnn_tensor tensor, dnn_type type, int batch, int channels, int height, int width, int batch_stride,
            int channel_stride, int row_stride, int column_stride))
DNN_SYMBOL(cudnnCreateFilterDescriptor, (dnn_filter * out_filter))
DNN_SYMBOL(cudnnDestroyFilterDescriptor, (dnn_filter filter))
DNN_SYMBOL(cudnnSetFilter4dDescriptor,
           (dnn_filter filter, dnn_type type, dnn_format format, int filters, int channels, int height, int width))
DNN_SYMBOL(cudnnCreateConvolutionDescriptor, (dnn_convolution * out_convolution))
DNN_SYMBOL(cudnnDestroyConvolutionDescriptor, (dnn_convolution convolution))
DNN_SYMBOL(cudnnSetConvolution2dDescriptor,
           (dnn_convolution convolution, int padding_height, int padding_width, int row_step, int column_step,
            int row_dilation, int column_dilation, dnn_mode mode, dnn_type type))
DNN_SYMBOL(cudnnSetConvolutionGroupCount, (dnn_convolution convolution, int groups))
DNN_SYMBOL(cudnnSetConvolutionMathType, (dnn_convolution convolution, dnn_mathematics mathematics))
DNN_SYMBOL(cudnnCreateActivationDescriptor, (dnn_activation * out_activation))
DNN_SYMBOL(cudnnDestroyActivationDescriptor, (dnn_activation activation))
DNN_SYMBOL(cudnnSetActivationDescriptor,
           (dnn_activation activation, dnn_activation_mode mode, dnn_nans nans, double most))
DNN_SYMBOL(cudnnGetConvolutionForwardAlgorithm_v7,
           (dnn_handle handle, dnn_tensor in, dnn_filter weight, dnn_convolution convolution, dnn_tensor out,
            int wanted, int *out_count, dnn_proposal *out_proposals))
DNN_SYMBOL(cudnnGetConvolutionForwardWorkspaceSize,
           (dnn_handle handle, dnn_tensor in, dnn_filter weight, dnn_convolution convolution, dnn_tensor out,
            dnn_algorithm algorithm, size_t *out_size))
DNN_SYMBOL(cudnnConvolutionForward,
           (dnn_handle handle, const void *alpha, dnn_tensor in, const void *in_data, dnn_filter weight,
            const void *weight_data, dnn_convolution convolution, dnn_algorithm algorithm, void *workspace,
            size_t workspace_size, const void *beta, dnn_tensor out, void *out_data))
DNN_SYMBOL(cudnnConvolutionBiasActivationForward,
           (dnn_handle handle, const void *alpha, dnn_tensor in, const void *in_data, dnn_filter weight,
            const void *weight_data, dnn_convolution convolution, dnn_algorithm algorithm, void *workspace,
            size_t workspace_size, const void *beta, dnn_tensor added, const void *added_data, dnn_tensor bias,
            const void *bias_data, dnn_activation activation, dnn_tensor out, void *out_data))
